"""TD3+BC (Fujimoto and Gu, 2021): TD3 whose actor also stays near the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.algorithm import Algorithm, Phase, act_by
from gem_jax.learners import batch_metrics, checks, q_ensemble
from gem_jax.learners.q_ensemble import QState
from gem_jax.networks import bundle, deterministic
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """TD3+BC's settings; defaults are the reference's.

    Attributes:
      num_steps: gradient steps of the critics.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam.
      num_critics: ensemble size, reduced by its minimum in targets.
      discount: of the return.
      polyak: rate of the targets.
      alpha: weight of Q in the actor's loss; lambda = alpha / mean |Q|.
      policy_noise: standard deviation of the noise on target actions.
      noise_clip: bound of that noise.
      actor_period: critic steps for each step of the actor and of the targets.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 2
    discount: float = 0.99
    polyak: float = 0.005
    alpha: float = 2.5
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    actor_period: int = 2
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "actor_period")
        checks.fraction(self, "discount", "polyak")
        checks.not_negative(self, "alpha", "policy_noise", "noise_clip")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    hidden_sizes=(16, 16), num_critics=2, batch_size=8, num_steps=6
)


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the deterministic policy.
    target_actor: its slow copy.
    critic: the ensemble, leading axis `E`.
    target_critic: its slow copy.
    """

    actor: TrainState
    target_actor: Params
    critic: TrainState
    target_critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    policy = bundle.from_module(
        deterministic.DeterministicPolicy(config.hidden_sizes, spec.action_size)
    )
    optimizer = optax.adam(config.learning_rate)
    critics = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
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
        """r + discount (1 - d) min Q(s', a'), a' smoothed by clipped noise."""
        shape = batch.action.shape
        noise = config.policy_noise * jax.random.normal(key, shape, jnp.float32)
        noise = jnp.clip(noise, -config.noise_clip, config.noise_clip)
        action = policy.apply(state.target_actor, batch.next_observation) + noise
        action = jnp.clip(action, -1.0, 1.0)
        q = critics.apply(state.target_critic, batch.next_observation, action)
        return critics.target(batch, jnp.min(q, axis=0))

    def actor_loss(params: Params, q_params: Params, batch: Transition) -> Array:
        action = policy.apply(params, batch.observation)
        q = critics.apply(q_params, batch.observation, action)[0]
        scale = config.alpha / jax.lax.stop_gradient(jnp.mean(jnp.abs(q)))
        return jnp.mean((action - batch.action) ** 2) - scale * jnp.mean(q)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        due = step % config.actor_period == 0
        rate = jnp.where(due, config.polyak, 0.0)
        new_q, metrics = critics.update(
            QState(state.critic, state.target_critic),
            batch,
            target(state, key, batch),
            rate,
        )
        error, grads = jax.value_and_grad(actor_loss)(
            state.actor.params, new_q.critic.params, batch
        )
        moved = train_state.apply_gradients(state.actor, grads, optimizer)
        new_actor = jax.tree.map(
            lambda new, old: jnp.where(due, new, old), moved, state.actor
        )
        new_state = State(
            actor=new_actor,
            target_actor=train_state.polyak(state.target_actor, new_actor.params, rate),
            critic=new_q.critic,
            target_critic=new_q.target_critic,
        )
        return new_state, {**batch_metrics.means(metrics), "actor/loss": error}

    phase = Phase("policy", config.num_steps, config.batch_size, update)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(policy.apply),
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
    )
