"""Behavior cloning: mean squared error to dataset actions, the floor of a table."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, train_state
from gem_jax.algorithm import Algorithm, Phase, act_by
from gem_jax.networks import bundle, deterministic
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Behavior cloning's settings.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of the policy.
      learning_rate: of Adam.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
)


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the policy.
    """

    actor: TrainState


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    policy = bundle.from_module(
        deterministic.DeterministicPolicy(config.hidden_sizes, spec.action_size)
    )
    optimizer = optax.adam(config.learning_rate)

    def init(key: PRNGKey) -> State:
        params = policy.init(key, jnp.zeros(spec.observation_size))
        return State(
            actor=train_state.create(params, optimizer),
        )

    def loss(params: Params, batch: Transition) -> Array:
        error = policy.apply(params, batch.observation) - batch.action
        return jnp.mean(jnp.sum(error**2, axis=-1))

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        actor_loss, grads = jax.value_and_grad(loss)(state.actor.params, batch)
        new_state = dataclasses.replace(
            state,
            actor=train_state.apply_gradients(state.actor, grads, optimizer),
        )
        return new_state, {"actor/loss": actor_loss}

    phase = Phase("actor", config.num_steps, config.batch_size, update)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(policy.apply),
        normalize_observations=config.normalize_observations,
    )
