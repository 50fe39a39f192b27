"""TD3 (Fujimoto et al., 2018) on a fixed dataset: of TD3+BC, ReBRAC and SSAR.

A deterministic actor follows an ensemble of critics whose targets take the slow actor's
action, smoothed by clipped noise; actor and slow copies move every few steps.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.algorithm import (
    Algorithm,
    Online,
    Phase,
    PrepareFn,
    act_by,
    prepare_nothing,
)
from gem_jax.learners import batch_metrics, exploration, q_ensemble
from gem_jax.learners.q_ensemble import QState
from gem_jax.networks import bundle, deterministic
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

# (pi(s) `[B, A]`, Q(s, pi(s)) `[E, B]`, batch) to the loss and metrics `[]` by name.
ActorLossFn = Callable[[Array, Array, Transition], tuple[Array, Mapping[str, Array]]]
# (action at s' `[B, A]`, batch) to what its value in the target is lowered by, `[B]`.
PenaltyFn = Callable[[Array, Transition], Array]


@flax.struct.dataclass
class State:
    """What training changes; a method that trains more has a subclass.

    Attributes:
      actor: the deterministic policy.
      target_actor: its slow copy.
      critic: the ensemble, leading axis `E`.
      target_critic: its slow copy.
    """

    actor: TrainState
    target_actor: Params
    critic: TrainState
    target_critic: Params


def make_policy(config: Any, spec: EnvSpec) -> bundle.Network:
    """The actor's network: observation `[..., O]` to action `[..., A]`."""
    module = deterministic.DeterministicPolicy(
        config.hidden_sizes,
        spec.action_size,
        starts_near_zero=not config.normalize_observations,
    )
    return bundle.from_module(module)


def is_due(config: Any, step: Array) -> Array:
    """Whether a step moves more than the critics."""
    return step % config.actor_period == 0


def when(due: Array, new: Any, old: Any) -> Any:
    """One of two trees of like structure."""
    return jax.tree.map(lambda a, b: jnp.where(due, a, b), new, old)


def make(
    config: Any,
    spec: EnvSpec,
    actor_loss: ActorLossFn,
    *,
    actor_rate: float,
    critic_rate: float,
    layer_norm: bool = False,
    penalty: PenaltyFn | None = None,
    prepare: PrepareFn = prepare_nothing,
) -> Algorithm:
    """Binds a method to its settings and to an environment's sizes.

    Args:
      config: with ``num_steps``, ``batch_size``, ``hidden_sizes``, ``num_critics``,
        ``discount``, ``polyak``, ``policy_noise``, ``noise_clip``, ``actor_period`` and
        ``normalize_observations``.
      spec: sizes of the environment.
      actor_loss: what the actor minimizes; the critics are those after their step.
      actor_rate: of the actor's Adam.
      critic_rate: of the critics'.
      layer_norm: standardize the critics' hidden layers.
      penalty: of actions in targets.
      prepare: of the data.
    """
    policy = make_policy(config, spec)
    optimizer = optax.adam(actor_rate)
    critics = q_ensemble.make_q_learner(
        spec,
        optax.adam(critic_rate),
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
        layer_norm=layer_norm,
    )

    def init(key: PRNGKey) -> State:
        actor_key, critic_key = jax.random.split(key)
        actor = policy.init(actor_key, jnp.zeros(spec.observation_size))
        q = critics.init(critic_key)
        return State(
            actor=train_state.create(actor, optimizer),
            target_actor=jax.tree.map(jnp.copy, actor),
            critic=q.critic,
            target_critic=q.target_critic,
        )

    def target(state: State, key: PRNGKey, batch: Transition) -> Array:
        """r + discount (1 - d) (min Q(s', a') - penalty), a' smoothed by noise."""
        shape = batch.action.shape
        noise = config.policy_noise * jax.random.normal(key, shape, jnp.float32)
        noise = jnp.clip(noise, -config.noise_clip, config.noise_clip)
        action = policy.apply(state.target_actor, batch.next_observation) + noise
        action = jnp.clip(action, -1.0, 1.0)
        next_value = critics.lowest(state.target_critic, batch.next_observation, action)
        if penalty is not None:
            next_value = next_value - penalty(action, batch)
        return critics.target(batch, next_value)

    def loss(params: Params, q_params: Params, batch: Transition) -> Any:
        action = policy.apply(params, batch.observation)
        q = critics.apply(q_params, batch.observation, action)
        return actor_loss(action, q, batch)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        due = is_due(config, step)
        rate = jnp.where(due, config.polyak, 0.0)
        new_q, metrics = critics.update(
            QState(state.critic, state.target_critic),
            batch,
            target(state, key, batch),
            rate,
        )
        grads, of_actor = jax.grad(loss, has_aux=True)(
            state.actor.params, new_q.critic.params, batch
        )
        moved = train_state.apply_gradients(state.actor, grads, optimizer)
        new_actor = when(due, moved, state.actor)
        new_state = dataclasses.replace(
            state,
            actor=new_actor,
            target_actor=train_state.polyak(state.target_actor, new_actor.params, rate),
            critic=new_q.critic,
            target_critic=new_q.target_critic,
        )
        return new_state, {**batch_metrics.means(metrics), **of_actor}

    phase = Phase("policy", config.num_steps, config.batch_size, update, prepare)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(policy.apply),
        normalize_observations=config.normalize_observations,
        online=Online(exploration.noisy(policy.apply), phase),
    )
