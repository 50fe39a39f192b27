"""Facts about a dataset that one wants to see before training on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gem_jax.data import episodes, tasks, transforms, transitions

_SATURATED = 0.999  # an action this near to its bound counts as saturated
_MAX_REWARD_VALUES = 10  # rewards with more values are not counted value by value


def describe(found: Sequence[episodes.Episode], task: tasks.Task) -> dict[str, Any]:
    """Describes lengths, returns, rewards, ends, actions, and what looks broken.

    Args:
      found: episodes with recorded rewards, none of them empty.
      task: gives the scale of the scores and the meaning of the observations.

    Returns:
      Plain numbers, lists and mappings, fit for JSON.
    """
    flat = transitions.flatten(found)
    observation, action = np.asarray(flat.observation), np.asarray(flat.action)
    reward = np.asarray(flat.reward)
    returns = transforms.trajectory_returns(reward, transitions.offsets(found))
    finite = [np.isfinite(leaf) for leaf in (observation, action, reward)]
    return {
        "episode_length": _summary(np.array([len(episode) for episode in found])),
        "episode_return": _summary(returns),
        "normalized_return_mean": task.normalized_score(float(returns.mean())),
        "rewarded_episodes": int((returns > 0).sum()),
        "reward_mean": float(reward.mean(dtype=np.float64)),
        "reward_counts": _reward_counts(reward),
        "terminations": int(np.asarray(flat.terminal).sum()),
        "truncations": sum(int(episode.truncations.sum()) for episode in found),
        "action_low": action.min(axis=0).tolist(),
        "action_high": action.max(axis=0).tolist(),
        "action_saturated": float((np.abs(action) > _SATURATED).mean()),
        "not_finite": sum(int((~leaf).sum()) for leaf in finite),
        "duplicate_rows": _duplicates(np.concatenate([observation, action], axis=1)),
        "largest_jump": _largest_jump(found, task),
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    return {
        "min": float(values.min()),
        "median": float(np.median(values)),
        "mean": float(values.mean()),
        "max": float(values.max()),
    }


def _reward_counts(reward: np.ndarray) -> dict[str, int] | None:
    values, counts = np.unique(reward, return_counts=True)
    if len(values) > _MAX_REWARD_VALUES:
        return None
    return {f"{value:g}": int(n) for value, n in zip(values, counts, strict=True)}


def _duplicates(rows: np.ndarray) -> int:
    """Rows that repeat an earlier one, by a 64-bit hash: sorting rows takes minutes."""
    words = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    weights = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64)
    hashes = np.zeros(len(words), np.uint64)
    for column, weight in zip(words.T, weights, strict=True):
        hashes += column * weight
    return len(rows) - len(np.unique(hashes))


def _largest_jump(found: Sequence[episodes.Episode], task: tasks.Task) -> float | None:
    """Meters moved in the quickest step; None where positions are not observed."""
    if task.suite == "locomotion":
        return None
    moves = [np.diff(episode.observations[:, :2], axis=0) for episode in found]
    return float(np.linalg.norm(np.concatenate(moves), axis=1).max())
