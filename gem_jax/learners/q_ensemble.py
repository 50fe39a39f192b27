"""An ensemble of critics with slow copies, for targets of any policy."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle, critic
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import DISCOUNT, Array, EnvSpec, Params, PRNGKey, Transition


@flax.struct.dataclass
class QState:
    """Attributes:
    critic: E members, leading axis on every leaf.
    target_critic: their slow copy.
    """

    critic: TrainState
    target_critic: Params


PenaltyFn = Callable[[Params], Array]  # of the members' parameters, to a number


class QLearner(NamedTuple):
    """Attributes:
    init: key to state.
    target: (batch, next value `[B]`) to ``r + discount (1 - d) next value``, with the
      batch's own discount where it has one.
    update: (state, batch, target `[B]`, polyak's rate, weight, penalty) to (state,
      metrics `[B]`); ``weight`` `[B]` multiplies the squared errors, and ``penalty``,
      a function of the parameters, is added to the loss.
    apply: (params, observation, action) to Q `[E, ...]`; pairs, or one state and many
      actions.
    lowest: the same to the least of the members, `[...]`.
    """

    init: Callable[[PRNGKey], QState]
    target: Callable[[Transition, Array], Array]
    update: Callable[..., tuple[QState, PerTransition]]
    apply: Callable[[Params, Array, Array], Array]
    lowest: Callable[[Params, Array, Array], Array]


def td_target(batch: Transition, next_value: Array, discount: float) -> Array:
    """Eq. 60 of rows that span one step, or as many as their own discount says.

    Args:
      batch: leaves `[B, ...]`.
      next_value: `[B]`, or `[E, B]` for as many targets.
      discount: of one step.
    """
    if next_value.ndim == 2:
        return jax.vmap(lambda own: td_target(batch, own, discount))(next_value)
    factor = batch.extras.get(DISCOUNT, discount)
    return value_ops.td_target(batch.reward, batch.terminal, next_value, factor)


def make_q_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_critics: int,
    discount: float,
    layer_norm: bool = False,
    activation: str = "relu",
) -> QLearner:
    """Regression of every member on one target; its loss is the members' mean.

    Args:
      spec: sizes of the environment.
      optimizer: of all members together.
      hidden_sizes: widths of each.
      num_critics: E.
      discount: of the return.
      layer_norm: standardize the members' hidden layers.
      activation: name of a function of ``jax.nn``.
    """
    module = critic.Critic(hidden_sizes, layer_norm=layer_norm, activation=activation)
    network = bundle.ensemble(bundle.from_module(module), num_critics)

    def init(key: PRNGKey) -> QState:
        observation = jnp.zeros(spec.observation_size)
        params = network.init(key, observation, jnp.zeros(spec.action_size))
        copy = jax.tree.map(jnp.copy, params)
        return QState(train_state.create(params, optimizer), copy)

    def target(batch: Transition, next_value: Array) -> Array:
        return td_target(batch, next_value, discount)

    def loss(
        params: Params,
        batch: Transition,
        y: Array,
        weight: Array | None,
        penalty: PenaltyFn | None,
    ):
        q = network.apply(params, batch.observation, batch.action)
        squares = (q - y[None]) ** 2
        if weight is not None:
            squares = weight[None] * squares
        total = jnp.mean(squares)
        if penalty is not None:
            total = total + penalty(params)
        return total, (jnp.mean(squares, axis=0), jnp.mean(q, axis=0))

    def update(
        state: QState,
        batch: Transition,
        y: Array,
        rate: Array | float,
        weight: Array | None = None,
        penalty: PenaltyFn | None = None,
    ) -> tuple[QState, PerTransition]:
        grads, (losses, q) = jax.grad(loss, has_aux=True)(
            state.critic.params, batch, y, weight, penalty
        )
        new = train_state.apply_gradients(state.critic, grads, optimizer)
        target_critic = train_state.polyak(state.target_critic, new.params, rate)
        return QState(new, target_critic), {"critic/loss": losses, "critic/q": q}

    def lowest(params: Params, observation: Array, action: Array) -> Array:
        return jnp.min(network.apply(params, observation, action), axis=0)

    return QLearner(init, target, update, network.apply, lowest)
