"""ReBRAC (Tarasov et al., 2023): TD3+BC with a penalty in the critics' targets too."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax.numpy as jnp

from gem_jax import checks
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _td3
from gem_jax.learners import sarsa
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, EnvSpec, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """ReBRAC's settings; defaults are the reference's for halfcheetah-medium.

    Attributes:
      num_steps: gradient steps of the critics.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      actor_learning_rate: of the actor's Adam.
      critic_learning_rate: of the critics'.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      polyak: rate of the targets.
      actor_cloning: beta_1, weight of the distance to the data in the actor's loss.
      critic_cloning: beta_2, the same in the critics' targets.
      policy_noise: standard deviation of the noise on target actions.
      noise_clip: bound of that noise.
      actor_period: critic steps for each step of the actor and of the targets.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 1024
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    num_critics: int = 2
    critic_layer_norm: bool = True
    discount: float = 0.99
    polyak: float = 0.005
    actor_cloning: float = 0.001
    critic_cloning: float = 0.01
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    actor_period: int = 2
    normalize_observations: bool = False

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size")
        checks.positive(self, "actor_learning_rate", "critic_learning_rate")
        checks.positive(self, "num_critics", "actor_period")
        checks.fraction(self, "discount", "polyak")
        checks.not_negative(self, "actor_cloning", "critic_cloning")
        checks.not_negative(self, "policy_noise", "noise_clip")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(hidden_sizes=(16,), batch_size=8, num_steps=6)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Rewards as recorded, AntMaze's times 100, as in the reference."""
    del config
    antmaze = task.suite == "antmaze"
    return {"reward_transform": (100.0, 0.0) if antmaze else "identity"}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""

    def actor_loss(action: Array, q: Array, batch: Transition):
        """beta_1 |pi(s) - a|^2 - min Q(s, pi(s)) / mean |min Q|, its mean."""
        lowest = jnp.min(q, axis=0)
        distance = jnp.sum((action - batch.action) ** 2, axis=-1)
        loss = jnp.mean(config.actor_cloning * distance - value_ops.scaled(lowest))
        return loss, {
            "actor/loss": loss,
            "actor/distance": jnp.mean(distance),
            "actor/q": jnp.mean(lowest),
        }

    def penalty(action: Array, batch: Transition) -> Array:
        """beta_2 |a' - a'_data|^2, 0 where the data have no next action."""
        distance = jnp.sum((action - batch.extras["next_action"]) ** 2, axis=-1)
        return config.critic_cloning * batch.extras["has_target"] * distance

    algorithm = _td3.make(
        config,
        spec,
        actor_loss,
        actor_rate=config.actor_learning_rate,
        critic_rate=config.critic_learning_rate,
        layer_norm=config.critic_layer_norm,
        penalty=penalty,
        prepare=sarsa.next_actions,
    )

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        del log
        checks.has_trajectories("next actions need", dataset)

    return algorithm._replace(check=check)
