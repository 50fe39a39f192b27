"""SfBC's settings, and its knobs of acting."""

from __future__ import annotations

import dataclasses

import jax

from gem_jax import checks
from gem_jax.algorithms import _sampled
from gem_jax.types import Array


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action; changing a field marked static recompiles.

    Attributes:
      num_candidates: N, samples of the behavior (static).
      num_averaged: how many are drawn by their values and averaged (static).
      sampling_steps: T, evaluations of the behavior's network a sample (static).
      alpha: inverse temperature of the draw, over values in standard deviations of the
        data's; 0 draws from the behavior, a large one takes the best.
    """

    num_candidates: int = dataclasses.field(default=32, metadata=_sampled.STATIC)
    num_averaged: int = dataclasses.field(default=1, metadata=_sampled.STATIC)
    sampling_steps: int = dataclasses.field(default=15, metadata=_sampled.STATIC)
    alpha: Array | float = 100.0

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range.
        """
        counts = ("num_candidates", "num_averaged", "sampling_steps")
        _sampled.require_counts(self, *counts)
        if self.num_averaged > self.num_candidates:
            raise ValueError(
                f"num_averaged must be at most num_candidates={self.num_candidates}, "
                f"got {self.num_averaged!r}"
            )
        _sampled.require_alpha(self)

    @property
    def set_size(self) -> int:
        """How many candidates there are."""
        return self.num_candidates


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """SfBC's settings; defaults are those of the authors' implementation.

    But for states, which are normalized here.

    Attributes:
      num_steps: gradient steps of each generation of the critic.
      batch_size: transitions a step of it.
      hidden_sizes: the critic's widths.
      learning_rate: of Adam for the critic.
      discount: of the return.
      generations: K; the first learns returns, each further one plans with the values
        of the one before.
      planning_samples: M, actions of the behavior whose values make that of a state.
      planning_alpha: their inverse temperature, as ``alpha``.
      planning_batch_size: states at a time.
      behavior_steps: gradient steps of the behavior's diffusion, before all else.
      behavior_batch_size: transitions a step of it.
      behavior_hidden_sizes: widths of the narrowing half of its network.
      behavior_learning_rate: of Adam.
      sampling_steps: T, see ``Knobs`` for this and what follows.
      num_candidates: N.
      num_averaged: how many are drawn and averaged.
      alpha: inverse temperature of the draw.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 24_414
    batch_size: int = 4096
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 1e-3
    discount: float = 0.99
    generations: int = 2
    planning_samples: int = 16
    planning_alpha: float = 20.0
    planning_batch_size: int = 256
    behavior_steps: int = 600_000
    behavior_batch_size: int = 4096
    behavior_hidden_sizes: tuple[int, ...] = (512, 256, 128)
    behavior_learning_rate: float = 1e-4
    sampling_steps: int = 15
    num_candidates: int = 32
    num_averaged: int = 1
    alpha: float = 100.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes", "behavior_hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "behavior_steps", "behavior_batch_size")
        checks.positive(self, "behavior_learning_rate", "generations")
        checks.positive(self, "planning_samples", "planning_batch_size")
        checks.fraction(self, "discount")
        checks.not_negative(self, "planning_alpha")
        self.knobs().validate()

    @property
    def floats_per_candidate(self) -> int:
        """What a sample takes while its network is evaluated."""
        return 2 * max(self.behavior_hidden_sizes)

    def knobs(self) -> Knobs:
        """The knobs of acting."""
        names = (field.name for field in dataclasses.fields(Knobs))
        return Knobs(**{name: getattr(self, name) for name in names})
