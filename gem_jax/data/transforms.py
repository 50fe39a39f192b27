"""Reward transforms, named by the table of tasks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gem_jax import errors

_TARGET_RANGE = 1000.0


def transform_rewards(
    name: str, rewards: np.ndarray, episode_offsets: np.ndarray
) -> np.ndarray:
    """Applies the transform ``name`` for training; evaluation never sees it.

    Args:
      name: ``"identity"``; ``"minus_one"``, which makes 0/1 rewards -1/0; or
        ``"return_range"``, which scales so that trajectory returns span 1000.
      rewards: `[D]`.
      episode_offsets: `[J + 1]` first transition of each trajectory, then `D`.

    Returns:
      `[D]` float32.

    Raises:
      UserError: no such transform.
    """
    try:
        transform = _TRANSFORMS[name]
    except KeyError:
        raise errors.UserError(
            f"unknown reward transform {name!r}; choose one of {', '.join(_TRANSFORMS)}"
        ) from None
    return transform(rewards, episode_offsets).astype(np.float32)


def trajectory_returns(rewards: np.ndarray, episode_offsets: np.ndarray) -> np.ndarray:
    """Sums `[J]` float64 of ``rewards`` `[D]` over trajectories, none of them empty."""
    return np.add.reduceat(rewards.astype(np.float64), episode_offsets[:-1])


def _identity(rewards: np.ndarray, episode_offsets: np.ndarray) -> np.ndarray:
    del episode_offsets
    return rewards


def _minus_one(rewards: np.ndarray, episode_offsets: np.ndarray) -> np.ndarray:
    del episode_offsets
    return rewards - 1.0


def _return_range(rewards: np.ndarray, episode_offsets: np.ndarray) -> np.ndarray:
    span = np.ptp(trajectory_returns(rewards, episode_offsets))
    if span == 0.0:  # a single trajectory, or all alike: no scale to be had
        return rewards
    return rewards * (_TARGET_RANGE / span)


_TRANSFORMS: dict[str, Callable[[np.ndarray, np.ndarray], np.ndarray]] = {
    "identity": _identity,
    "minus_one": _minus_one,
    "return_range": _return_range,
}
