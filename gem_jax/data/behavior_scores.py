"""How good the policies were that made a dataset."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gem_jax.data import episodes, repairs, tasks


def episode_returns(
    recorded: Sequence[episodes.Episode], task: tasks.Task
) -> np.ndarray:
    """`[J]` float64 returns up to the first terminal step of each episode."""
    ended = repairs.until_terminal(list(recorded), task)
    return np.array([e.rewards.sum(dtype=np.float64) for e in ended])


def episode_values(
    recorded: Sequence[episodes.Episode], task: tasks.Task
) -> np.ndarray:
    """`[J]` float64 what the task's score is the mean of: returns, or successes."""
    if task.scored_by == "return":
        return episode_returns(recorded, task)
    return np.array([float(e.terminations.any()) for e in recorded])


def behavior_return(recorded: Sequence[episodes.Episode], task: tasks.Task) -> float:
    """Mean return of the policies that acted.

    Of whole episodes; Maze2D's, which no reset parts, are measured by the horizon.
    """
    if task.suite == "maze2d":
        reward = np.concatenate([episode.rewards for episode in recorded])
        return float(reward.mean(dtype=np.float64) * task.horizon)
    returns = episode_returns(recorded, task)[whole_episodes(recorded, task)]
    return float(returns.mean())


def behavior_score(
    recorded: Sequence[episodes.Episode], task: tasks.Task
) -> float | None:
    """Their mean normalized score; ``None`` where the task has no reference scores."""
    if task.scored_by == "return":
        return task.normalized_score(behavior_return(recorded, task))
    values = episode_values(recorded, task)[whole_episodes(recorded, task)]
    return task.normalized_score(float(values.mean()))


def whole_episodes(
    recorded: Sequence[episodes.Episode], task: tasks.Task
) -> np.ndarray:
    """`[J]` bool: episodes that were not cut short; all of them if every one was.

    All count, too, where success is the score: of those cut short, only those without
    it would be left out.
    """
    if task.scored_by == "success":
        return np.ones(len(recorded), bool)
    whole = np.array([episodes.is_whole(e, task.horizon) for e in recorded])
    return whole if whole.any() else np.ones(len(recorded), bool)
