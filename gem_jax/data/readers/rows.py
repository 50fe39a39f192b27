"""Rows that are transitions: what logs, plain arrays and OGBench's files hold.

A row has its successor where ``next_observations`` give it, or else in the next row.
The last row of an episode that has none is left out, unless it is terminal: nothing
depends on what comes after that, and its own observation stands there.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np

from gem_jax.data import episodes, successors


@dataclasses.dataclass(frozen=True)
class Rows:
    """A log, a step a row.

    Attributes:
      observation: `[N, O]` float32.
      action: `[N, A]` float32.
      reward: `[N]` float32.
      terminal: `[N]` bool: the task ended there, so that no value follows.
      end: `[N]` bool: the last row of an episode, for whatever reason.
      next_observation: `[N, O]` float32, or ``None`` where it is the next row.
      policy: `[N]` label of the policy that acted; ``None`` where unknown.
      precision: of ``next_observation``, see ``successors.precision``.
      compact: whether the last row of an episode is an observation alone, no step.
    """

    observation: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    terminal: np.ndarray
    end: np.ndarray
    next_observation: np.ndarray | None = None
    policy: np.ndarray | None = None
    precision: float = 1e-5
    compact: bool = False


def to_episodes(rows: Rows, warn: Callable[[str], None]) -> list[episodes.Episode]:
    """Cuts the rows into episodes, some perhaps empty.

    Where ``next_observation`` is not the next row, rounding aside, the episode ends.

    Args:
      rows: the log.
      warn: takes a line about such rows that no end explains.
    """
    end = rows.end.copy()
    end[-1:] = True
    if rows.next_observation is not None:
        breaks = successors.differ(
            rows.observation[1:], rows.next_observation[:-1], rows.precision
        )
        unexplained = np.count_nonzero(breaks & ~end[:-1])
        if unexplained:
            warn(
                f"after {unexplained:,} of {len(end):,} rows the next row is not what "
                "the next observation says; that is used, and the episode ends there"
            )
        end[:-1] |= breaks
    stops = (np.flatnonzero(end) + 1).tolist()
    starts = [0, *stops[:-1]]
    return [_episode(rows, *span) for span in zip(starts, stops)]


def _episode(rows: Rows, start: int, stop: int) -> episodes.Episode:
    last, left_out = stop - 1, 0
    if rows.next_observation is not None:
        after = rows.next_observation[last:stop]
        observations = np.concatenate([rows.observation[start:stop], after])
    elif rows.terminal[last]:
        after = rows.observation[last:stop]
        observations = np.concatenate([rows.observation[start:stop], after])
    else:  # the last row has no successor, and is one
        observations, stop = rows.observation[start:stop], last
        left_out = int(not rows.compact)
    truncations = np.zeros(stop - start, bool)
    truncations[-1:] = not rows.terminal[stop - 1]
    return episodes.Episode(
        observations=observations,
        actions=rows.action[start:stop],
        rewards=rows.reward[start:stop],
        terminations=rows.terminal[start:stop],
        truncations=truncations,
        infos={} if rows.policy is None else {"policy": rows.policy[start:stop]},
        left_out=left_out,
    )
