"""Which policies of a training run become the tiers of a robot's local data sets."""

from __future__ import annotations

from typing import Any

import numpy as np

from gem_jax.data import tasks

# D4RL's own medium sets score near 42, 44 to 55, and 62 to 80.
MEDIUM_SCORES = {"halfcheetah": 42.0, "hopper": 49.0, "walker2d": 71.0}
REPLAY_POLICIES = 20  # before the medium policy, and as many after it


def normalized(robot: str, episode_return: Any) -> Any:
    """D4RL's score of a return, or of each of several."""
    return tasks.get(f"{robot}-medium-v2").normalized_score(episode_return)


def pick_medium(sampled: np.ndarray, mean: np.ndarray, target: float) -> int:
    """The policy whose episodes lie nearest to ``target``, whichever way it acts.

    Args:
      sampled: `[P, episodes]` scores of sampled actions.
      mean: `[P, episodes]` scores of mean actions.
      target: a score.
    """
    distance = [
        np.sqrt(np.mean((scores - target) ** 2, axis=1)) for scores in (sampled, mean)
    ]
    return int(np.argmin(np.maximum(*distance)))


def spread(steps: np.ndarray, medium: int, expert: int) -> list[int]:
    """Indices to keep: the named policies, and others evenly spread over training."""
    before = np.linspace(0, medium, REPLAY_POLICIES + 1)
    after = np.linspace(medium, len(steps) - 1, REPLAY_POLICIES + 1)
    return sorted({*np.rint([*before, *after]).astype(int).tolist(), expert})
