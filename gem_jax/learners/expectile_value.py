"""The IQL critic: ensemble, expectile value, target ensemble. Of the IQL family."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners import q_ensemble
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle, critic
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@flax.struct.dataclass
class ValueState:
    """Attributes:
    critic: E members, leading axis on every leaf.
    target_critic: their slow copy, as the last update saw it.
    value: V, without a target copy; E of them where each critic has its own.
    """

    critic: TrainState
    target_critic: Params
    value: TrainState


# The target critics' parameters to the value of s', `[B]`.
NextValueFn = Callable[[Params], Array]


class ValueLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, batch, next value) to (state, advantage `[B]`, metrics `[B]`);
      the advantage is that of the parameters before the step, without gradient. The
      value of s' in the critics' target is V's where no ``NextValueFn`` is given.
    apply: (critic params, observation, action, dtype) to Q `[E, ...]`; the dtype of
      the hidden layers is float32 by default.
    lowest: (critic params, observation, action) to the least of these values.
    apply_value: (value params, observation) to V, `[...]` or of each critic `[E, ...]`.
    """

    init: Callable[[PRNGKey], ValueState]
    update: Callable[..., tuple[ValueState, Array, PerTransition]]
    apply: Callable[..., Array]
    lowest: Callable[[Params, Array, Array], Array]
    apply_value: Callable[[Params, Array], Array]


def make_value_learner(
    config: Any,
    spec: EnvSpec,
    *,
    own_targets: bool = False,
    loss: Callable[[Array], Array] | None = None,
) -> ValueLearner:
    """Implicit Q-learning's critic on an ensemble (GEM Eq. 60-66).

    Observations come in normalized. With one target for all, members differ by their
    initialization alone. With ``own_targets`` each is an IQL of its own, whose V
    regresses on its own Q and is its own target (as MSG, Ghasemipour et al., 2022); the
    advantage is their mean.

    Args:
      config: with ``hidden_sizes``, ``num_critics``, ``critic_layer_norm``,
        ``learning_rate``, ``discount``, ``expectile`` and ``polyak``.
      spec: sizes of the environment.
      own_targets: E values instead of one on the minimum.
      loss: of V, of the residual Q - V elementwise; by default the expectile's.
    """
    of_residual = loss or (lambda u: value_ops.expectile_loss(u, config.expectile))

    def critics(dtype: str) -> bundle.Network:
        module = critic.Critic(config.hidden_sizes, config.critic_layer_norm, dtype)
        return bundle.ensemble(bundle.from_module(module), config.num_critics)

    critic_net = critics("float32")
    value_net = _value_network(config, own_targets)
    optimizer = optax.adam(config.learning_rate)

    def init(key: PRNGKey) -> ValueState:
        critic_key, value_key = jax.random.split(key)
        observation = jnp.zeros(spec.observation_size)
        action = jnp.zeros(spec.action_size)
        params = critic_net.init(critic_key, observation, action)
        return ValueState(
            critic=train_state.create(params, optimizer),
            # A copy: a state whose two fields share buffers cannot be donated.
            target_critic=jax.tree.map(jnp.copy, params),
            value=train_state.create(value_net.init(value_key, observation), optimizer),
        )

    def value_loss(params: Params, target_q: Array, observation: Array):
        v = value_net.apply(params, observation)
        residual = target_q - v  # u of Eq. 66; also the advantage of Eq. 40
        chex.assert_equal_shape([target_q, v])  # no broadcasting
        losses = of_residual(residual)  # Eq. 65
        return jnp.mean(losses), (losses, residual, v)

    def critic_loss(params: Params, batch: Transition, target: Array):
        q = critic_net.apply(params, batch.observation, batch.action)
        squares = (q - target) ** 2  # Eq. 61; one target for all, or each its own
        return jnp.mean(squares), (squares, q)

    def update(
        state: ValueState, batch: Transition, next_value: NextValueFn | None = None
    ):
        # Eq. 62 of the update before: what the targets see is the same, and a copy that
        # changes before it is read changes in place, where XLA would copy it first.
        target_critic = train_state.polyak(
            state.target_critic, state.critic.params, config.polyak
        )
        # V(s') comes from before V's step, and the advantage too: all gradients of one
        # update are taken at the same parameters.
        if next_value is None:
            following = value_net.apply(state.value.params, batch.next_observation)
        else:
            following = next_value(target_critic)
        target = q_ensemble.td_target(batch, following, config.discount)
        target_q = critic_net.apply(target_critic, batch.observation, batch.action)
        if not own_targets:
            target_q = jnp.min(target_q, axis=0)  # Eq. 63, 64
            target = target[None]
        v_grads, (v_losses, residual, v) = jax.grad(value_loss, has_aux=True)(
            state.value.params, target_q, batch.observation
        )
        advantage = _over_members(residual)
        q_grads, (q_losses, q) = jax.grad(critic_loss, has_aux=True)(
            state.critic.params, batch, target
        )
        new_state = ValueState(
            critic=train_state.apply_gradients(state.critic, q_grads, optimizer),
            target_critic=target_critic,
            value=train_state.apply_gradients(state.value, v_grads, optimizer),
        )
        per_transition = {
            "critic/loss": jnp.mean(q_losses, axis=0),
            "critic/q": jnp.mean(q, axis=0),
            "critic/ensemble_std": value_ops.ensemble_std(q),
            "value/loss": _over_members(v_losses),
            "value/v": _over_members(v),
            "value/advantage": advantage,
        }
        return new_state, advantage, per_transition

    def q_values(
        params: Params, observation: Array, action: Array, dtype: str = "float32"
    ) -> Array:
        return critics(dtype).apply(params, observation, action)

    def lowest(params: Params, observation: Array, action: Array) -> Array:
        return jnp.min(q_values(params, observation, action), axis=0)

    return ValueLearner(init, update, q_values, lowest, value_net.apply)


def _value_network(config: Any, own_targets: bool) -> bundle.Network:
    network = bundle.from_module(critic.Value(config.hidden_sizes))
    return bundle.ensemble(network, config.num_critics) if own_targets else network


def _over_members(values: Array) -> Array:
    """`[B]` as they are, or the mean of `[E, B]`."""
    return values if values.ndim == 1 else jnp.mean(values, axis=0)
