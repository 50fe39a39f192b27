"""Episodes: the common form in which every reader and generator hands over data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import numpy as np


@dataclasses.dataclass(frozen=True)
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
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray
    terminations: np.ndarray
    truncations: np.ndarray
    infos: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.actions)


def until_terminal(episode: Episode) -> Episode:
    """The episode up to its first terminal step, that step included.

    D4RL's AntMaze episodes go on after the goal, for most of their length when the
    walker is fast; an evaluation episode never gets there.
    """
    hits = np.flatnonzero(episode.terminations)
    if not hits.size:
        return episode
    end, steps = int(hits[0]) + 1, len(episode)
    return Episode(
        observations=episode.observations[: end + 1],
        actions=episode.actions[:end],
        rewards=episode.rewards[:end],
        terminations=episode.terminations[:end],
        truncations=episode.truncations[:end],
        infos={
            name: values[: end + len(values) - steps]
            for name, values in episode.infos.items()
        },
    )
