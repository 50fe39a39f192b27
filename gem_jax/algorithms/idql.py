"""IDQL (Hansen-Estruch et al., 2023): the best of N samples of a diffusion model."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import optax

from gem_jax import checks
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _best_sample
from gem_jax.algorithms._best_sample import Knobs as Knobs
from gem_jax.learners import ddpm_policy, expectile_value, generative, rates
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, EnvSpec

OBJECTIVES = ("expectile", "quantile", "exponential")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """IDQL's settings; defaults are the reference's, but for normalized states.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of critics and value.
      learning_rate: of Adam; the behavior's decays to 0 along a cosine.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      objective: of the value regression: ``"expectile"``, ``"quantile"`` or
        ``"exponential"``.
      expectile: tau of the first two.
      value_temperature: T of the exponential, units of return.
      polyak: rate of the target critics, which also choose.
      behavior_width: of the behavior's residual network.
      behavior_blocks: how many blocks it has.
      behavior_dropout: of its inputs.
      averaging_rate: of the slow copy of its parameters, which samples.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``Knobs``.
      sampling_steps: T, in training and, by default, when acting.
    """

    num_steps: int = 3_000_000
    batch_size: int = 512
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = False
    discount: float = 0.99
    objective: str = "expectile"
    expectile: float = 0.7
    value_temperature: float = 1.0
    polyak: float = 0.005
    behavior_width: int = 256
    behavior_blocks: int = 3
    behavior_dropout: float = 0.1
    averaging_rate: float = 0.001
    normalize_observations: bool = True
    num_candidates: int = 64
    sampling_steps: int = 5

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "behavior_width", "behavior_blocks")
        if self.behavior_width < 2:
            raise ValueError(
                f"behavior_width must be at least 2, got {self.behavior_width!r}"
            )
        checks.positive(self, "value_temperature")
        checks.fraction(self, "discount", "expectile", "polyak", "averaging_rate")
        checks.share(self, "behavior_dropout")
        checks.one_of(self, "objective", OBJECTIVES)
        Knobs(self.num_candidates, self.sampling_steps).validate()

    @property
    def floats_per_candidate(self) -> int:
        """What a sample takes while its network is evaluated."""
        return 2 * 4 * self.behavior_width


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    behavior_width=8,
    behavior_blocks=2,
    num_candidates=5,
    sampling_steps=3,
)


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    loss = _objective(config)
    values = expectile_value.make_value_learner(config, spec, loss=loss)
    return _best_sample.make(
        config,
        spec,
        _make_behavior(config, spec, decays=True),
        values,
        lambda values: values.target_critic,
        loss,
        online_behavior=_make_behavior(config, spec, decays=False),
    )


def _make_behavior(
    config: Config, spec: EnvSpec, *, decays: bool
) -> generative.GenerativeLearner:
    rate = rates.cosine(config.learning_rate, config.num_steps, decays=decays)
    return ddpm_policy.make_ddpm_learner(
        spec,
        optax.adam(rate),
        width=config.behavior_width,
        num_blocks=config.behavior_blocks,
        dropout=config.behavior_dropout,
        num_steps=config.sampling_steps,
        averaging_rate=config.averaging_rate,
    )


def _objective(config: Config) -> Callable[[Array], Array]:
    losses = {
        "expectile": (value_ops.expectile_loss, config.expectile),
        "quantile": (value_ops.quantile_loss, config.expectile),
        "exponential": (value_ops.exponential_loss, config.value_temperature),
    }
    loss, setting = losses[config.objective]
    return lambda residual: loss(residual, setting)
