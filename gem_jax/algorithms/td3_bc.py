"""TD3+BC (Fujimoto and Gu, 2021): TD3 whose actor also stays near the data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from gem_jax import checks
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _td3
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, EnvSpec, Transition


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
    hidden_sizes=(16,), num_critics=2, batch_size=8, num_steps=6
)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Locomotion's rewards as recorded, as in the reference."""
    del config
    return {"reward_transform": "identity"} if task.suite == "locomotion" else {}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""

    def actor_loss(action: Array, q: Array, batch: Transition):
        """|pi(s) - a|^2 / A - alpha Q_0(s, pi(s)) / mean |Q_0|."""
        distance = jnp.mean((action - batch.action) ** 2)
        loss = distance - config.alpha * jnp.mean(value_ops.scaled(q[0]))
        return loss, {"actor/loss": loss}

    rate = config.learning_rate
    algorithm = _td3.make(config, spec, actor_loss, actor_rate=rate, critic_rate=rate)
    return algorithm._replace(n_step_discount=config.discount)
