"""What diffusion and flow models of the behavior have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


class GenerativeLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, key, batch) to (state, metrics `[B]` ``loss``).
    deployed: state to the parameters that sample.
    sample: (params, key, observation `[O]`, n, num_steps) to actions `[n, A]` inside
      the box.
    """

    init: Callable[[PRNGKey], Any]
    update: Callable[[Any, PRNGKey, Transition], tuple[Any, PerTransition]]
    deployed: Callable[[Any], Params]
    sample: Callable[[Params, PRNGKey, Array, int, int], Array]


def make_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    network: bundle.Network,
    *,
    losses: Callable[..., Array],
    solve: Callable[..., Array],
    least_time: float = 0.0,
) -> GenerativeLearner:
    """A model that noise at times uniform up to 1 trains, and a solver samples.

    Args:
      spec: sizes of the environment.
      optimizer: of the network.
      network: (params, observation, x, time) to what it says of x, `[..., A]`.
      losses: (predict, action `[B, A]`, noise `[B, A]`, time `[B]`) to losses `[B]`;
        predict is the network of x alone.
      solve: (predict, start `[n, A]`, num_steps) to actions, not clipped; predict is
        the network of x and a time.
      least_time: of training.
    """

    def init(key: PRNGKey) -> TrainState:
        action, time = jnp.zeros(spec.action_size), jnp.zeros(())
        params = network.init(key, jnp.zeros(spec.observation_size), action, time)
        return train_state.create(params, optimizer)

    def loss(params: Params, batch: Transition, noise: Array, time: Array):
        def predict(x: Array) -> Array:
            return network.apply(params, batch.observation, x, time)

        found = losses(predict, batch.action, noise, time)
        return jnp.mean(found), {"loss": found}

    def update(
        state: TrainState, key: PRNGKey, batch: Transition
    ) -> tuple[TrainState, PerTransition]:
        noise_key, time_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, batch.action.shape, jnp.float32)
        size = batch.reward.shape
        time = jax.random.uniform(time_key, size, jnp.float32, least_time, 1.0)
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, batch, noise, time)
        return train_state.apply_gradients(state, grads, optimizer), metrics

    def sample(
        params: Params, key: PRNGKey, observation: Array, n: int, num_steps: int
    ) -> Array:
        def predict(x: Array, time: Array) -> Array:
            return network.apply(params, observation, x, time)

        start = jax.random.normal(key, (n, spec.action_size), jnp.float32)
        return jnp.clip(solve(predict, start, num_steps), -1.0, 1.0)

    return GenerativeLearner(init, update, lambda state: state.params, sample)
