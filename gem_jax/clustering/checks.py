"""What cannot be clustered, and what can but means nothing."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gem_jax import errors


def check(
    observation: np.ndarray,
    action: np.ndarray,
    episode: np.ndarray,
    num_clusters: int,
    log: Callable[[str], None] = print,
) -> None:
    """Refuses data that ``num_clusters`` clusters cannot be found in.

    Args:
      observation: `[D, O]`.
      action: `[D, A]`.
      episode: `[D]` number of each step's trajectory: 0 first, then ascending by one.
      num_clusters: K.
      log: takes a warning about what works but means nothing.

    Raises:
      UserError: no clusters asked for; no steps, or not `[D, ...]` of finite numbers;
        trajectories not one after the other; fewer trajectories than clusters.
    """
    if num_clusters < 1:
        raise errors.UserError(f"num_clusters must be at least 1, got {num_clusters}")
    _check_arrays(observation, action, episode)
    lengths = np.bincount(episode)
    if num_clusters > len(lengths):
        hint = "; are the ends of the episodes marked?" if len(lengths) == 1 else ""
        raise errors.UserError(
            f"{num_clusters} clusters need at least as many trajectories, got "
            f"{len(lengths)}{hint}"
        )
    if num_clusters == 1:
        if len(lengths) == 1:
            log(
                "warning: there is one trajectory; are the ends of the episodes marked?"
            )
        return
    if lengths.max() == 1:
        log(
            "warning: every trajectory has one step; whose it is can hardly be told "
            "from a single action"
        )
    if _all_alike(observation, lengths) and _all_alike(action, lengths):
        log(
            "warning: all trajectories are identical; the clusters are not "
            "identifiable, and any assignment is as good as another"
        )


def _check_arrays(
    observation: np.ndarray, action: np.ndarray, episode: np.ndarray
) -> None:
    """Refuses what are not finite steps of trajectories in order."""
    if not len(episode) == len(action) == len(observation) > 0:
        raise errors.UserError(
            f"clustering needs as many observations as actions and trajectory numbers, "
            f"and at least one: got {len(observation)}, {len(action)}, {len(episode)}"
        )
    if observation.ndim != 2 or action.ndim != 2:
        raise errors.UserError(
            f"observations and actions must be [steps, size], got {observation.shape} "
            f"and {action.shape}"
        )
    if not (np.isfinite(observation).all() and np.isfinite(action).all()):
        raise errors.UserError("observations and actions must be finite")
    if episode.ndim != 1 or not np.issubdtype(episode.dtype, np.integer):
        raise errors.UserError(
            f"trajectory numbers must be integers [steps], got {episode.dtype} "
            f"{episode.shape}"
        )
    if episode[0] != 0 or not np.isin(np.diff(episode), (0, 1)).all():
        raise errors.UserError(
            "trajectories must be numbered 0, 1, 2, ... and follow each other"
        )


def _all_alike(values: np.ndarray, lengths: np.ndarray) -> bool:
    if (lengths != lengths[0]).any():
        return False
    rows = values.reshape(len(lengths), -1)
    return bool((rows == rows[0]).all())
