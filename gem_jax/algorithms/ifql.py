"""IFQL (Park et al., 2025): the best of N samples of a flow, by an IQL critic.

The flow version of IDQL.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import optax

from gem_jax import checks
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _best_sample
from gem_jax.algorithms._best_sample import Knobs as Knobs
from gem_jax.learners import expectile_value, flow_policy
from gem_jax.ops import value as value_ops
from gem_jax.types import EnvSpec


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """IFQL's settings; defaults are the reference's for D4RL's AntMaze.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      expectile: tau of the value regression.
      polyak: rate of the target critics.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``Knobs``.
      sampling_steps: T.
    """

    num_steps: int = 500_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (512, 512, 512, 512)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = True
    discount: float = 0.99
    expectile: float = 0.9
    polyak: float = 0.005
    normalize_observations: bool = True
    num_candidates: int = 32
    sampling_steps: int = 10

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics")
        checks.fraction(self, "discount", "expectile", "polyak")
        Knobs(self.num_candidates, self.sampling_steps).validate()

    @property
    def floats_per_candidate(self) -> int:
        """What a sample takes while its network is evaluated."""
        return 2 * max(self.hidden_sizes)


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    num_candidates=5,
    sampling_steps=3,
)


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    return _best_sample.make(
        config,
        spec,
        flow_policy.make_flow_learner(
            spec, optax.adam(config.learning_rate), hidden_sizes=config.hidden_sizes
        ),
        expectile_value.make_value_learner(config, spec),
        lambda values: values.critic.params,
        lambda residual: value_ops.expectile_loss(residual, config.expectile),
    )
