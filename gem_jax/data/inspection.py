"""Facts about a dataset that one wants to see before training on it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gem_jax.data import (
    behavior_scores,
    coverage,
    episodes,
    faults,
    motion,
    tasks,
    transitions,
)

_MAX_REWARD_VALUES = 10  # rewards with more values are not counted value by value


def describe(recorded: Sequence[episodes.Episode], task: tasks.Task) -> dict[str, Any]:
    """Describes lengths, returns, rewards, ends, actions, and what looks broken.

    Args:
      recorded: episodes with rewards, none of them empty, of the task's shapes.
      task: gives the scale of the scores and the meaning of the observations.

    Returns:
      Plain numbers, lists and mappings, fit for JSON. Returns are of whole episodes,
      those that ended terminally or at the task's horizon, unless there are none, and
      count up to the first terminal step, as in an evaluation.
    """
    flat = transitions.flatten(recorded)
    observation, action = np.asarray(flat.observation), np.asarray(flat.action)
    reward = np.asarray(flat.reward)
    returns = behavior_scores.episode_returns(recorded, task)
    whole = behavior_scores.whole_episodes(recorded, task)
    values = behavior_scores.episode_values(recorded, task)[whole]
    scores = np.array([task.normalized_score(value) for value in values], float)
    finite = [np.isfinite(leaf) for leaf in (observation, action, reward)]
    level, rule = coverage.level(returns[whole], scores)
    facts = {
        "whole_episodes": int(whole.sum()),
        "episode_length": _summary(np.array([len(episode) for episode in recorded])),
        "episode_return": _summary(returns[whole]),
        "normalized_return": _summary(scores) if task.is_scored else None,
        "return_quantiles": _quantiles(returns[whole]),
        "level": level,
        "level_rule": rule,
        "behavior_score": behavior_scores.behavior_score(recorded, task),
        "rewarded_episodes": int((returns > 0).sum()),
        "reward_mean": _summary(reward).get("mean"),
        "reward_counts": _reward_counts(reward),
        "terminations": int(np.asarray(flat.terminal).sum()),
        "truncations": sum(int(episode.truncations.sum()) for episode in recorded),
        "action_low": np.fmin.reduce(action).tolist(),  # fmin and fmax pass over NaN
        "action_high": np.fmax.reduce(action).tolist(),
        "action_saturated": faults.saturated_share(action, task),
        "not_finite": sum(int((~leaf).sum()) for leaf in finite),
        "duplicate_rows": faults.count_duplicates(recorded),
        "largest_slip": _largest_slip(recorded, task),
        "coverage": coverage.measure(recorded),
        "policies": _policies(recorded, returns, whole),
    }
    return {name: _finite_or_none(fact) for name, fact in facts.items()}


def _finite_or_none(fact: Any) -> Any:
    """The fact as JSON can hold it: without NaN and infinities."""
    if isinstance(fact, dict):
        return {key: _finite_or_none(value) for key, value in fact.items()}
    if isinstance(fact, list):
        return [_finite_or_none(value) for value in fact]
    return None if isinstance(fact, float) and not np.isfinite(fact) else fact


def _policies(
    recorded: Sequence[episodes.Episode], returns: np.ndarray, whole: np.ndarray
) -> dict[str, dict[str, float | None]] | None:
    """Size and mean return for each label; None where episodes bear none.

    The mean is of whole episodes, None where there are none.
    """
    if not all("policy" in episode.infos for episode in recorded):
        return None
    label = np.array([episode.infos["policy"][0] for episode in recorded])
    length = np.array([len(episode) for episode in recorded])
    return {
        str(one): {
            "episodes": int((label == one).sum()),
            "transitions": int(length[label == one].sum()),
            "return_mean": float(returns[mine].mean()) if mine.any() else None,
        }
        for one in np.unique(label)
        for mine in [(label == one) & whole]
    }


def _summary(values: np.ndarray) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {}
    return {
        "min": float(finite.min()),
        "median": float(np.median(finite)),
        "mean": float(finite.mean(dtype=np.float64)),
        "max": float(finite.max()),
        "std": float(finite.std(dtype=np.float64)),
    }


def _quantiles(values: np.ndarray) -> dict[str, float]:
    finite = values[np.isfinite(values)]
    if not finite.size:
        return {}
    return {f"{q:.0%}": float(np.quantile(finite, q)) for q in coverage.QUANTILES}


def _reward_counts(reward: np.ndarray) -> dict[str, int] | None:
    values, counts = np.unique(reward[np.isfinite(reward)], return_counts=True)
    if len(values) > _MAX_REWARD_VALUES:
        return None
    return {f"{value:g}": int(n) for value, n in zip(values, counts, strict=True)}


def _largest_slip(recorded: Sequence[episodes.Episode], task: tasks.Task) -> float:
    """How far (m, rad) the least credible step leads from where velocities lead."""
    slips = np.concatenate([motion.slips(e, task.motion) for e in recorded])
    return float(slips[np.isfinite(slips)].max(initial=0.0))
