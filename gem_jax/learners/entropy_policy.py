"""A squashed Gaussian policy that seeks values and entropy (SAC's)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.algorithm import ExploreFn
from gem_jax.networks import bundle
from gem_jax.networks.tanh_gaussian import TanhGaussianNetwork
from gem_jax.ops import gaussian
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey

ValueFn = Callable[[Array], Array]  # actions `[B, A]` to values `[B]`


class EntropyLearner(NamedTuple):
    """Attributes:
    init: key to the states of policy and of temperature.
    sample: (params, key, observation `[B, O]`) to actions `[B, A]` and their
      log-densities `[B]`.
    explore: (params, key, observation `[O]`) to an action `[A]`.
    mean: (params, observation `[..., O]`) to tanh of the Gaussian's mean `[..., A]`.
    tune: (temperature, policy params, key, observation) to the temperature's state
      after a step towards the wanted entropy.
    update: (policy, alpha, key, observation, value_fn) to the policy's state and
      metrics `[B]`.
    """

    init: Callable[[PRNGKey], tuple[TrainState, TrainState]]
    sample: Callable[[Params, PRNGKey, Array], tuple[Array, Array]]
    explore: ExploreFn
    mean: Callable[[Params, Array], Array]
    tune: Callable[[TrainState, Params, PRNGKey, Array], TrainState]
    update: Callable[
        [TrainState, Array, PRNGKey, Array, ValueFn],
        tuple[TrainState, Mapping[str, Array]],
    ]


def make_entropy_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    temperature_optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    log_std_min: float,
    log_std_max: float,
) -> EntropyLearner:
    """Minimizes ``alpha log pi(a|s) - Q(s, a)``; alpha keeps the entropy at -A nats.

    As Haarnoja et al. (2018). The temperature's parameter is log alpha, which starts at
    0. Observations come in as the networks take them.
    """
    network = bundle.from_module(
        TanhGaussianNetwork(hidden_sizes, spec.action_size, log_std_min, log_std_max)
    )

    def init(key: PRNGKey) -> tuple[TrainState, TrainState]:
        policy = network.init(key, jnp.zeros(spec.observation_size))
        return (
            train_state.create(policy, optimizer),
            train_state.create(jnp.zeros((), jnp.float32), temperature_optimizer),
        )

    def sample(params: Params, key: PRNGKey, observation: Array) -> tuple[Array, Array]:
        return gaussian.squashed_sample(key, network.apply(params, observation))

    def explore(params: Params, key: PRNGKey, observation: Array) -> Array:
        return sample(params, key, observation[None])[0][0]

    def mean(params: Params, observation: Array) -> Array:
        return jnp.tanh(network.apply(params, observation).mean)

    def tune(
        state: TrainState, policy: Params, key: PRNGKey, observation: Array
    ) -> TrainState:
        _, log_prob = sample(policy, key, observation)
        # Of -log alpha (log pi - A), the entropy's shortfall.
        slope = -jnp.mean(log_prob - spec.action_size)
        return train_state.apply_gradients(state, slope, temperature_optimizer)

    def loss(
        params: Params,
        alpha: Array,
        key: PRNGKey,
        observation: Array,
        value_fn: ValueFn,
    ) -> tuple[Array, Mapping[str, Array]]:
        action, log_prob = sample(params, key, observation)
        value = value_fn(action)
        losses = alpha * log_prob - value
        return jnp.mean(losses), {"loss": losses, "q": value, "log_prob": log_prob}

    def update(
        state: TrainState,
        alpha: Array,
        key: PRNGKey,
        observation: Array,
        value_fn: ValueFn,
    ) -> tuple[TrainState, Mapping[str, Array]]:
        grads, metrics = jax.grad(loss, has_aux=True)(
            state.params, alpha, key, observation, value_fn
        )
        return train_state.apply_gradients(state, grads, optimizer), metrics

    return EntropyLearner(init, sample, explore, mean, tune, update)
