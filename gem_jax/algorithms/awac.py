"""AWAC (Nair et al., 2020): a policy by weighted cloning, critics of that policy."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks
from gem_jax.algorithm import Algorithm, Online, Phase, act_by
from gem_jax.learners import (
    batch_metrics,
    exploration,
    mixture_policy,
    q_ensemble,
)
from gem_jax.ops import mixture
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """AWAC's settings; defaults are the reference's for locomotion.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      temperature: lambda; an action's weight is exp(A / lambda).
      max_weight: its cap.
      polyak: rate of the target critics.
      log_std_min: lower bound of the policy's log-std.
      log_std_max: upper bound.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = False
    discount: float = 0.99
    temperature: float = 1 / 3
    max_weight: float = 100.0
    polyak: float = 0.005
    log_std_min: float = -20.0
    log_std_max: float = 2.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "temperature", "max_weight")
        checks.fraction(self, "discount", "polyak")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(num_steps=6, batch_size=8, hidden_sizes=(16,))


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the Gaussian policy.
    values: critics and their slow copies.
    """

    actor: TrainState
    values: q_ensemble.QState


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Locomotion's rewards as recorded, as in the reference."""
    del config
    return {"reward_transform": "identity"} if task.suite == "locomotion" else {}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    optimizer = optax.adam(config.learning_rate)
    actor = mixture_policy.make_mixture_learner(
        spec,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        num_components=1,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
    )
    critics = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
        layer_norm=config.critic_layer_norm,
    )

    def init(key: PRNGKey) -> State:
        actor_key, value_key = jax.random.split(key)
        return State(actor.init(actor_key), critics.init(value_key))

    def sample(params: Params, key: PRNGKey, observation: Array) -> Array:
        """An action `[B, A]` in each state `[B, O]`."""
        policy = actor.apply(params, observation)
        first = jnp.zeros(len(observation), jnp.int32)
        mean, std = mixture.component(policy, first)
        noise = jax.random.normal(key, mean.shape, jnp.float32)
        return jnp.clip(mean + std * noise, -1.0, 1.0)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        next_key, action_key = jax.random.split(key)
        following = sample(state.actor.params, next_key, batch.next_observation)
        next_value = critics.lowest(
            state.values.target_critic, batch.next_observation, following
        )
        y = critics.target(batch, next_value)
        new_values, of_critic = critics.update(state.values, batch, y, config.polyak)
        q_params = new_values.critic.params
        own = sample(state.actor.params, action_key, batch.observation)
        advantage = critics.lowest(
            q_params, batch.observation, batch.action
        ) - critics.lowest(q_params, batch.observation, own)
        tilt = 1.0 / config.temperature, config.max_weight
        weight = value_ops.advantage_weight(advantage, *tilt)
        new_actor, rows = actor.update(state.actor, batch, weight)
        metrics = {
            **of_critic,
            "actor/loss": rows["loss"],
            "actor/nll": rows["nll"],
            "actor/advantage": advantage,
        }
        means = batch_metrics.regression_means(
            metrics, weight, value_ops.is_capped(advantage, *tilt)
        )
        return State(new_actor, new_values), means

    def mean_action(params: Params, observation: Array) -> Array:
        return mixture.mean(actor.apply(params, observation))

    phase = Phase("policy", config.num_steps, config.batch_size, update)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(mean_action),
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(exploration.sampled(actor.apply), phase),
    )
