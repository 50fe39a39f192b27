"""A deterministic policy that follows the critic's gradient and stays near the data."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle, deterministic
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


class GradientLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, batch, q) to (state, metrics `[B]`); q takes observations and
      actions `[B, ...]` to values `[B]`.
    apply: (params, observation `[..., O]`) to the action `[..., A]`.
    """

    init: Callable[[PRNGKey], TrainState]
    update: Callable[
        [TrainState, Transition, Callable[[Array, Array], Array]],
        tuple[TrainState, PerTransition],
    ]
    apply: Callable[[Params, Array], Array]


def make_gradient_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    cloning: float,
) -> GradientLearner:
    """Minimizes ``cloning / 2 |pi(s) - a|^2 - Q(s, pi(s)) / mean |Q|``.

    That is TD3+BC's actor (Fujimoto and Gu, 2021) with the weight on the other term, as
    in OGBench (Park et al., 2025). Observations come in normalized.
    """
    network = bundle.from_module(
        deterministic.DeterministicPolicy(hidden_sizes, spec.action_size)
    )

    def init(key: PRNGKey) -> TrainState:
        params = network.init(key, jnp.zeros(spec.observation_size))
        return train_state.create(params, optimizer)

    def loss(params: Params, batch: Transition, q_fn: Callable[[Array, Array], Array]):
        action = network.apply(params, batch.observation)
        q = q_fn(batch.observation, action)
        distance = jnp.sum((action - batch.action) ** 2, axis=-1)
        losses = 0.5 * cloning * distance - value_ops.scaled(q)
        return jnp.mean(losses), {"loss": losses, "q": q, "distance": distance}

    def update(
        state: TrainState, batch: Transition, q_fn: Callable[[Array, Array], Array]
    ) -> tuple[TrainState, PerTransition]:
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, batch, q_fn)
        return train_state.apply_gradients(state, grads, optimizer), metrics

    return GradientLearner(init, update, network.apply)
