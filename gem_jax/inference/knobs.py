"""Every knob of deployment in one record; none of them needs retraining."""

from __future__ import annotations

import dataclasses
import math

import jax

from gem_jax.inference import scoring
from gem_jax.types import Array

SCHEDULES = ("decay", "rise", "constant")
_OPTIONS = {
    "candidates": ("actor", "actor_mode", "behavior"),
    "anchor": ("mode", "mean", "behavior", "gradient", "none"),
    "normalization": (*scoring.NORMALIZATIONS, "data"),
    "value_scale": (*scoring.VALUE_SCALES, "data"),
    "kappa_growth": ("none", "log"),
    "lambda_schedule": SCHEDULES,
    "critic_dtype": ("float32", "bfloat16"),
}
# The business of the machine that acts, not of the run that trained.
MACHINE = ("chunk_size", "critic_dtype")

_FINITE = "a number and finite"
_LARGEST = 3.4e38  # of float32
_MOST_STEPS = 256  # each is a part of the compiled program
_STATIC = {"static": True}  # what register_dataclass looks for
# Bounds memory and changes no choice, so that it makes no other row of a table.
_NO_CHOICE = {**_STATIC, "changes_choice": False}


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action; a pytree whose numbers are traced.

    Changing a field marked static recompiles, since it changes shapes or structure.

    Attributes:
      num_candidates: N, samples beside the anchor (static). 0 executes the anchor.
      top_m: M, how many of the best candidates are averaged (static).
      candidates: where the samples come from (static): ``"actor"``, ``"behavior"``, or
        ``"actor_mode"``, the actor's heaviest component alone.
      anchor: the deterministic candidate (static): ``"mode"`` is the mean of the
        actor's heaviest component (Eq. 6), ``"mean"`` the mean of its mixture,
        ``"behavior"`` the behavior's mode, ``"gradient"`` the policy trained by the
        critics' gradient, ``"none"`` leaves it out.
      normalization: ``"zscore"`` or ``"raw"`` support (static), see ``score``; or
        ``"data"``, in standard deviations of the data's own log-density from its mean.
      value_scale: ``"reward"`` or ``"zscore"`` value (static), see ``score``; or
        ``"data"``, in standard deviations of the data's own advantages.
      kappa_growth: ``"none"``, or ``"log"`` (static): kappa times sqrt(2 log C), by
        which the best of C errors exceeds the truth (Eq. 18-23).
      chunk_size: most candidates scored at a time (static); 0 suits the platform. It
        bounds memory and does not change the choice.
      denoise_steps: how many steps towards the density's mode each sample takes
        (static), which keep its component and drop its noise; 0 is the paper's.
      refine_steps: how many steps along the score's gradient the best candidates take
        (static); they join the set. 0 is the paper's.
      critic_dtype: ``"float32"`` or ``"bfloat16"`` hidden layers of the critics
        (static).
      kappa: pessimism of the lower confidence bound.
      lambda_schedule: of the support weight (static): ``"decay"`` from ``lambda_start``
        to ``lambda_end``, ``"rise"`` from 0, ``"constant"`` at ``lambda_end``.
      lambda_start: support weight at the first step of an episode, where it decays.
      lambda_end: support weight from ``horizon`` on.
      horizon: H_T of the schedule, steps.
      support_cap: support above it earns no more; by default none is.
      temperature: factor on the standard deviations of the samples; 1 is the paper's.
      anchor_margin: by how much a candidate must exceed the anchor, units of the score.
      refine_size: length of such a step, units of the action.
      violation_threshold: z below which a choice counts as a support violation.
    """

    num_candidates: int = dataclasses.field(default=64, metadata=_STATIC)
    top_m: int = dataclasses.field(default=1, metadata=_STATIC)
    candidates: str = dataclasses.field(default="actor", metadata=_STATIC)
    anchor: str = dataclasses.field(default="mode", metadata=_STATIC)
    normalization: str = dataclasses.field(default="zscore", metadata=_STATIC)
    value_scale: str = dataclasses.field(default="reward", metadata=_STATIC)
    kappa_growth: str = dataclasses.field(default="none", metadata=_STATIC)
    lambda_schedule: str = dataclasses.field(default="decay", metadata=_STATIC)
    chunk_size: int = dataclasses.field(default=0, metadata=_NO_CHOICE)
    denoise_steps: int = dataclasses.field(default=0, metadata=_STATIC)
    refine_steps: int = dataclasses.field(default=0, metadata=_STATIC)
    critic_dtype: str = dataclasses.field(default="float32", metadata=_STATIC)
    kappa: Array | float = 1.0
    lambda_start: Array | float = 1.0
    lambda_end: Array | float = 0.1
    horizon: Array | float = 1000.0
    support_cap: Array | float = scoring.NO_CAP
    temperature: Array | float = 1.0
    anchor_margin: Array | float = 0.0
    refine_size: Array | float = 0.05
    violation_threshold: Array | float = -2.0

    @property
    def set_size(self) -> int:
        """C, the number of candidates with the anchor."""
        return self.num_candidates + (self.anchor != "none")

    @property
    def effective_kappa(self) -> Array | float:
        """What multiplies the ensemble's spread."""
        if self.kappa_growth == "none":
            return self.kappa
        return self.kappa * math.sqrt(2.0 * math.log(max(self.set_size, 1)))

    @property
    def lambda_ends(self) -> tuple[Array | float, Array | float]:
        """Support weight at the first step and from the horizon on."""
        start = {"decay": self.lambda_start, "rise": 0.0, "constant": self.lambda_end}
        return start[self.lambda_schedule], self.lambda_end

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range or names an unknown option.
        """
        self._require(
            "num_candidates", 0 <= self.num_candidates < math.inf, "at least 0"
        )
        self._require(
            "num_candidates", self.set_size >= 1, "at least 1 without an anchor"
        )
        self._require(
            "top_m",
            1 <= self.top_m <= self.set_size,
            f"between 1 and the {self.set_size} candidates of the set",
        )
        whole = ("chunk_size", "denoise_steps", "refine_steps")
        for name in ("num_candidates", "top_m", *whole):
            self._require(name, isinstance(getattr(self, name), int), "a whole number")
        for name in whole:
            self._require(name, 0 <= getattr(self, name) < math.inf, "at least 0")
            self._require(name, getattr(self, name) < 2**31, "below 2^31")
        for name in ("denoise_steps", "refine_steps"):
            fits = getattr(self, name) <= _MOST_STEPS
            self._require(name, fits, f"at most {_MOST_STEPS}")
        for name in ("kappa", "lambda_start", "lambda_end", "anchor_margin"):
            self._require(name, 0 <= getattr(self, name) < math.inf, "at least 0")
        for name in ("horizon", "temperature", "refine_size"):
            self._require(name, 0 < getattr(self, name) < math.inf, "positive")
        for name in ("support_cap", "violation_threshold"):
            self._require(name, math.isfinite(getattr(self, name)), _FINITE)
        for field in dataclasses.fields(self):
            if not field.metadata.get("static"):
                fits = abs(getattr(self, field.name)) < _LARGEST
                self._require(field.name, fits, f"below {_LARGEST:g} in size")
        for name, known in _OPTIONS.items():
            self._require(name, getattr(self, name) in known, f"one of {known}")

    def _require(self, name: str, holds: bool, wanted: str) -> None:
        if not holds:
            raise ValueError(f"{name} must be {wanted}, got {getattr(self, name)!r}")
