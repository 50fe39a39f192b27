"""Episodes: the common form in which every reader and generator hands over data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True, slots=True)  # there may be a million
class Episode:
    """One unbroken stretch of experience; ``T`` steps between ``T + 1`` observations.

    Attributes:
      observations: `[T + 1, O]` float32.
      actions: `[T, A]` float32.
      rewards: `[T]` float32, as recorded, before any reward transform.
      terminations: `[T]` bool. True means that the task ended there. D4RL's AntMaze
        relabels rewards afterwards, so a termination may stand in mid-episode.
      truncations: `[T]` bool; True at the last step of an episode that was cut off.
      infos: arrays with leading `T` or `T + 1`.
      left_out: steps after the last that a reader passed over, having no successor.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    infos: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    left_out: int = 0

    def __len__(self) -> int:
        return len(self.actions)


def is_finite(episode: Episode) -> bool:
    """Whether it holds neither a NaN nor an infinity."""
    arrays = episode.observations, episode.actions, episode.rewards
    return all(np.isfinite(array).all() for array in arrays)


def is_whole(episode: Episode, horizon: int) -> bool:
    """Whether it ended terminally or at the time limit, and was not cut short."""
    # A reader of D4RL's layout drops the step at which the limit struck.
    return bool(episode.terminations.any()) or len(episode) >= horizon - 1


def cut(episode: Episode, start: int, stop: int) -> Episode:
    """Steps ``start`` to ``stop`` of an episode, which a new end truncates."""
    steps = len(episode)
    truncations = episode.truncations[start:stop].copy()
    if start < stop < steps:
        truncations[-1] = not episode.terminations[stop - 1]
    return Episode(
        observations=episode.observations[start : stop + 1],
        actions=episode.actions[start:stop],
        rewards=episode.rewards[start:stop],
        terminations=episode.terminations[start:stop],
        truncations=truncations,
        infos={
            name: values[start : stop + len(values) - steps]
            for name, values in episode.infos.items()
        },
        left_out=episode.left_out if stop == steps else 0,
    )
