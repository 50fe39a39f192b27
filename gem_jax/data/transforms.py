"""Reward transforms: what training sees of the rewards; evaluation sees them all."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from gem_jax import errors
from gem_jax.data import validate

_TARGET_RANGE = 1000.0


@dataclasses.dataclass(frozen=True)
class RewardTransform:
    """What becomes of a recorded reward: ``scale * reward + shift``.

    Attributes:
      name: which rule gave the numbers: ``"identity"``; ``"minus_one"``, which makes
        0/1 rewards -1/0; ``"return_range"``, by which trajectory returns span 1000; or
        ``"given"``, they were asked for.
      scale: finite, not 0.
      shift: finite.
    """

    name: str
    scale: float = 1.0
    shift: float = 0.0

    def __call__(self, rewards: np.ndarray) -> np.ndarray:
        """`[D]` recorded to `[D]` float32.

        Raises:
          UserError: too large to compute with, or nothing left of the rewards; names
            the flag.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            changed = rewards.astype(np.float64) * self.scale + self.shift
            changed = changed.astype(np.float32)
        self._check_range(rewards, changed)
        return changed

    def _check_range(self, rewards: np.ndarray, changed: np.ndarray) -> None:
        if not np.abs(changed).max(initial=0.0) <= validate.LARGEST:
            raise errors.UserError(
                f"{self._flags()} makes rewards that float32 cannot square and sum; "
                f"keep them within {validate.LARGEST:g} by a smaller scale or shift"
            )
        # Smaller ones are rounded to 0, by accelerators if not by NumPy.
        gone = np.abs(changed - np.float32(self.shift)) < np.finfo(np.float32).tiny
        if rewards.any() and gone.all():
            raise errors.UserError(
                f"{self._flags()} leaves nothing of the rewards in float32: all become "
                f"{self.shift:g}; choose a larger scale, or a smaller shift"
            )

    def _flags(self) -> str:
        if self.name == "given":
            return f"--reward_scale={self.scale:g} --reward_shift={self.shift:g}"
        return f"--reward_transform={self.name} (scale {self.scale:g})"


def given(scale: float = 1.0, shift: float = 0.0) -> RewardTransform:
    """A transform by its numbers.

    Raises:
      UserError: a number is not finite, or the scale is 0.
    """
    if not math.isfinite(scale) or scale == 0.0:
        raise errors.UserError(f"reward scale {scale:g} must be finite and not 0")
    if not math.isfinite(shift):
        raise errors.UserError(f"reward shift {shift:g} must be finite")
    return RewardTransform("given", float(scale), float(shift))


def check(transform: str | RewardTransform) -> None:
    """Refuses a name that does not exist, or numbers that cannot be meant.

    Raises:
      UserError: names the valid ones.
    """
    if isinstance(transform, RewardTransform):
        given(transform.scale, transform.shift)
    elif transform not in NAMES:
        raise errors.UserError(
            f"unknown reward transform {transform!r}; choose one of {', '.join(NAMES)}"
        )


def resolve(
    transform: str | RewardTransform, rewards: np.ndarray, episode_offsets: np.ndarray
) -> RewardTransform:
    """The numbers behind a name; a transform that has them already stays as it is.

    Args:
      transform: a name, or the transform itself.
      rewards: `[D]` as recorded.
      episode_offsets: `[J + 1]` first transition of each trajectory, then `D`.

    Raises:
      UserError: no such transform.
    """
    check(transform)
    if isinstance(transform, RewardTransform):
        return transform
    return _RULES[transform](rewards, episode_offsets)


def trajectory_returns(rewards: np.ndarray, episode_offsets: np.ndarray) -> np.ndarray:
    """Sums `[J]` float64 of ``rewards`` `[D]` over trajectories, none of them empty."""
    return np.add.reduceat(rewards.astype(np.float64), episode_offsets[:-1])


def mostly_single_steps(episode_offsets: np.ndarray) -> bool:
    """Whether more than half of several trajectories are a step long, as if shuffled.

    Their returns are no scale: ``return_range`` leaves such rewards as they are.
    """
    lengths = np.diff(episode_offsets)
    return 1 < len(lengths) < 2 * int(np.count_nonzero(lengths == 1))


def _identity(rewards: np.ndarray, episode_offsets: np.ndarray) -> RewardTransform:
    del rewards, episode_offsets
    return RewardTransform("identity")


def _minus_one(rewards: np.ndarray, episode_offsets: np.ndarray) -> RewardTransform:
    del rewards, episode_offsets
    return RewardTransform("minus_one", shift=-1.0)


def _return_range(rewards: np.ndarray, episode_offsets: np.ndarray) -> RewardTransform:
    if mostly_single_steps(episode_offsets):
        return RewardTransform("return_range")
    span = float(np.ptp(trajectory_returns(rewards, episode_offsets)))
    # A single trajectory, or all alike: no scale to be had.
    return RewardTransform("return_range", _TARGET_RANGE / span if span else 1.0)


_RULES: dict[str, Callable[[np.ndarray, np.ndarray], RewardTransform]] = {
    "identity": _identity,
    "minus_one": _minus_one,
    "return_range": _return_range,
}
NAMES = tuple(_RULES)
