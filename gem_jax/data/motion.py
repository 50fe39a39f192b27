"""Whether positions move as velocities say: the sign of a reset within an episode."""

from __future__ import annotations

import numpy as np

from gem_jax.data import episodes, tasks


def slips(episode: episodes.Episode, layout: tasks.Motion | None) -> np.ndarray:
    """How far each step leads from where the velocities lead.

    A terminal last step counts as 0: in D4RL's files the observation after it is the
    next episode's first, which no value ever reads.

    Args:
      episode: `T` steps.
      layout: where positions and velocities stand in an observation; without one
        nothing slips.

    Returns:
      `[T]` the largest difference over all coordinates (m or rad) between the step and
      the mean of the velocities at its two ends times its duration.
    """
    if layout is None or not len(episode):
        return np.zeros(len(episode))
    observations = episode.observations
    position = observations[:, slice(*layout.positions)]
    velocity = observations[:, slice(*layout.velocities)]
    expected = layout.step_seconds * (velocity[1:] + velocity[:-1]) / 2
    slip: np.ndarray = np.abs(np.diff(position, axis=0) - expected).max(axis=1)
    if episode.terminations[-1]:
        slip[-1] = 0.0
    return slip


def jumps(episode: episodes.Episode, layout: tasks.Motion | None) -> np.ndarray:
    """Indices of the steps whose slip no contact or clipped velocity explains."""
    largest = np.inf if layout is None else layout.largest_slip
    return np.flatnonzero(slips(episode, layout) > largest)
