"""SSAR's weight of cloning: a network of the state under a constraint (Luo, 2025)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.networks import bundle, coefficient
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Metrics, Params, PRNGKey

_INCREMENTS = 10  # from the first bound to the last


@flax.struct.dataclass
class WeightState:
    """Attributes:
    net: the network.
    n: `[]`, the bound in standard deviations.
    settled: `[]` bool, whether a batch has met the bound, so that it stays.
    """

    net: TrainState
    n: Array
    settled: Array


class WeightLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, observation `[B, O]`, squared deviations `[B, A]`, trust `[B]`,
      step) to (state, metrics).
    apply: (network's params, observation) to beta `[B]`.
    """

    init: Callable[[PRNGKey], WeightState]
    update: Callable[..., tuple[WeightState, Metrics]]
    apply: Callable[[Params, Array], Array]


def make(config: Any, spec: EnvSpec) -> WeightLearner:
    """Descent on E[(n^2 sigma^2 - d) beta(s) trust], d a policy's squared deviation.

    So beta grows in states where the policy is further from the data's action than n
    sigma, and falls in others. Every ``n_period`` steps, or at the first update after
    them, n grows by a tenth of the way to its end, until trusted rows meet the bound on
    the average of a batch.

    Args:
      config: with ``beta_init``, ``beta_hidden_sizes``, ``beta_learning_rate``,
        ``beta_max_grad_norm``, ``sigma``, ``n_start``, ``n_end``, ``n_period`` and
        ``actor_period``, the steps from one update to the next.
      spec: sizes of the environment.
    """
    module = coefficient.Coefficient(config.beta_hidden_sizes, config.beta_init)
    network = bundle.from_module(module)
    optimizer = optax.chain(
        optax.clip_by_global_norm(config.beta_max_grad_norm),
        optax.adam(config.beta_learning_rate),
    )
    increment = (config.n_end - config.n_start) / _INCREMENTS

    def init(key: PRNGKey) -> WeightState:
        params = network.init(key, jnp.zeros(spec.observation_size))
        return WeightState(
            net=train_state.create(params, optimizer),
            n=jnp.array(config.n_start, jnp.float32),
            settled=jnp.array(False),
        )

    def loss(params: Params, observation: Array, weight: Array):
        beta = network.apply(params, observation)
        return jnp.mean(weight * beta), jnp.mean(beta)

    def update(
        state: WeightState,
        observation: Array,
        squares: Array,
        trust: Array,
        step: Array,
    ) -> tuple[WeightState, Metrics]:
        deviation = jnp.mean(jnp.minimum(squares, 1.0), axis=-1)
        slack = trust * ((state.n * config.sigma) ** 2 - deviation)
        (value, beta), grads = jax.value_and_grad(loss, has_aux=True)(
            state.net.params, observation, jax.lax.stop_gradient(slack)
        )
        # A batch without a trusted row meets nothing, as in the reference.
        asked = (step > 0) & (step % config.n_period < config.actor_period)
        settled = state.settled | (asked & (jnp.sum(slack) > 0.0))
        grown = jnp.minimum(state.n + increment, config.n_end)
        new_state = WeightState(
            net=train_state.apply_gradients(state.net, grads, optimizer),
            n=jnp.where(asked & ~settled, grown, state.n),
            settled=settled,
        )
        num_trusted = jnp.maximum(jnp.sum(trust), 1.0)
        return new_state, {
            "beta/loss": value,
            "beta/mean": beta,
            "beta/n": state.n,
            "beta/deviation": jnp.sum(trust * deviation) / num_trusted,
            "beta/trusted_share": jnp.mean(trust),
        }

    return WeightLearner(init, update, network.apply)
