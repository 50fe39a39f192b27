"""Writes episodes in D4RL's HDF5 layout, without loss."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Sequence

import h5py
import numpy as np

from gem_jax.data import episodes


def write(path: pathlib.Path, recorded: Sequence[episodes.Episode]) -> None:
    """Writes a file from which every transition can be read back.

    In D4RL's layout the row after a step holds what it led to, and a step at which a
    time limit struck is no transition. An episode that did not terminate has one row
    more than steps, therefore: its last observation, marked as a time-out, with the
    last action again and no reward. So has the last episode, since readers never use
    the last row of a file.

    Args:
      path: of the file; replaced whole where there is one.
      recorded: the episodes; empty ones are left out.
    """
    recorded = [episode for episode in recorded if len(episode)]
    last = len(recorded) - 1
    parts = [
        _rows(episode, closing=i == last or not episode.terminations[-1])
        for i, episode in enumerate(recorded)
    ]
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with h5py.File(temporary, "w") as file:
            for name in parts[0]:
                if all(name in part for part in parts):
                    file[name] = np.concatenate([part[name] for part in parts])
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def _rows(episode: episodes.Episode, *, closing: bool) -> dict[str, np.ndarray]:
    """The rows of one episode, ``closing`` with one for its last observation."""
    steps = len(episode)
    rows = steps + closing
    timeouts = np.zeros(rows, bool)
    timeouts[steps:] = True
    following = episode.observations[1:]
    columns = {
        "observations": episode.observations[:rows],
        "next_observations": np.concatenate([following, following[-1:]])[:rows],
        "actions": _held(episode.actions, rows),
        "rewards": _ended(episode.rewards, rows),
        "terminals": _ended(episode.terminations, rows),
        "timeouts": timeouts,
    }
    if "policy" in episode.infos:
        columns["infos/policy"] = _held(episode.infos["policy"][:steps], rows)
    return columns


def _held(values: np.ndarray, rows: int) -> np.ndarray:
    """As many rows, the last one again."""
    return np.concatenate([values, values[-1:]])[:rows]


def _ended(values: np.ndarray, rows: int) -> np.ndarray:
    """As many rows, then zeros."""
    return np.concatenate([values, np.zeros_like(values[-1:])])[:rows]
