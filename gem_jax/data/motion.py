"""Whether positions move as velocities say: the sign of a reset within an episode."""

from __future__ import annotations

import numpy as np

from gem_jax.data import tasks


def slips(observations: np.ndarray, layout: tasks.Motion | None) -> np.ndarray:
    """How far each step leads from where the velocities lead.

    Args:
      observations: `[T + 1, O]`.
      layout: where positions and velocities stand in an observation; without one
        nothing slips.

    Returns:
      `[T]` the largest difference over all coordinates (m or rad) between the step and
      the mean of the velocities at its two ends times its duration.
    """
    if layout is None:
        return np.zeros(max(len(observations) - 1, 0))
    position = observations[:, slice(*layout.positions)]
    velocity = observations[:, slice(*layout.velocities)]
    expected = layout.step_seconds * (velocity[1:] + velocity[:-1]) / 2
    slip: np.ndarray = np.abs(np.diff(position, axis=0) - expected)
    return slip.max(axis=1) if slip.size else np.zeros(len(slip))


def jumps(observations: np.ndarray, layout: tasks.Motion | None) -> np.ndarray:
    """Indices of the steps whose slip no contact or clipped velocity explains."""
    largest = np.inf if layout is None else layout.largest_slip
    return np.flatnonzero(slips(observations, layout) > largest)
