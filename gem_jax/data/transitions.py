"""Flattens episodes into the arrays that training samples from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gem_jax.data import episodes

if TYPE_CHECKING:
    from gem_jax import types


def flatten(recorded: Sequence[episodes.Episode]) -> types.Transition:
    """Concatenates the steps of all episodes; leaves are float32 NumPy arrays.

    Args:
      recorded: at least one episode, none of them empty.

    Returns:
      A ``Transition`` with leading axis `D`, without extras, rewards as recorded.
    """
    from gem_jax import types  # here, so that data workers need not import jax

    return types.Transition(
        observation=_join([episode.observations[:-1] for episode in recorded]),
        action=_join([episode.actions for episode in recorded]),
        reward=_join([episode.rewards for episode in recorded]),
        next_observation=_join([episode.observations[1:] for episode in recorded]),
        terminal=_join([episode.terminations for episode in recorded]),
    )


def offsets(recorded: Sequence[episodes.Episode]) -> np.ndarray:
    """`[J + 1]` int64: where each episode's transitions begin, then `D`."""
    return np.cumsum([0, *map(len, recorded)])


def ids(episode_offsets: np.ndarray) -> np.ndarray:
    """`[D]` int64: the episode that each transition belongs to."""
    return np.repeat(np.arange(len(episode_offsets) - 1), np.diff(episode_offsets))


def policies(recorded: Sequence[episodes.Episode]) -> np.ndarray | None:
    """`[D]` int32 label of the policy that acted; None unless all episodes have it."""
    if not all("policy" in episode.infos for episode in recorded):
        return None
    labels = [episode.infos["policy"][: len(episode)] for episode in recorded]
    return np.concatenate(labels).astype(np.int32)


def _join(arrays: list[np.ndarray]) -> Any:
    return np.concatenate(arrays, dtype=np.float32, casting="unsafe")
