"""Episodes that follow a script first and a policy then, side by side.

An environment that is reset with the same seed and given the same actions is in the
same state again. So any state of an episode can be returned to, whatever simulates it.
"""

from __future__ import annotations

import concurrent.futures
import functools
import os
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gem_jax.envs.checked import CheckedEnv

# Observations `[B, O]` and steps `[B]` to raw actions `[B, A]`.
Act = Callable[[np.ndarray, np.ndarray], np.ndarray]


class Episode(NamedTuple):
    """Attributes:
    observations: `[T, O]`, before each action.
    actions: `[T, A]`, raw.
    rewards: `[T]`.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray


def play(
    environments: Sequence[CheckedEnv],
    seeds: Sequence[int],
    scripts: Sequence[np.ndarray],
    act: Act,
) -> list[Episode]:
    """Plays whole episodes, one in each of the first ``len(seeds)`` environments.

    Args:
      environments: as many, or more.
      seeds: of their resets.
      scripts: `[k, A]` raw actions that each begins with; k may be 0.
      act: chooses the others; always called with a row for every episode, whatever it
        answers to one that follows its script or has ended.
    """
    count = len(seeds)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        each = functools.partial(pool.map, chunksize=1)
        shown = [one[0] for one in each(_reset, environments[:count], seeds)]
        steps: list[list[tuple[np.ndarray, np.ndarray, float]]] = [[] for _ in seeds]
        running, t = list(range(count)), 0
        while running:
            chosen = _choose(np.stack(shown), t, running, scripts, act)
            results = each(_step, [environments[i] for i in running], chosen)
            alive = []
            for i, action, result in zip(running, chosen, results, strict=True):
                observation, reward, ended, cut, _ = result
                steps[i].append((shown[i], action, reward))
                shown[i] = observation
                if not (ended or cut):
                    alive.append(i)
            running, t = alive, t + 1
    return [Episode(*map(np.array, zip(*taken, strict=True))) for taken in steps]


def return_from(episode: Episode, t: int, discount: float) -> float:
    """Discounted rewards from step t to the end."""
    rewards = episode.rewards[t:]
    return float(np.sum(rewards * discount ** np.arange(len(rewards))))


def _choose(
    observations: np.ndarray,
    t: int,
    running: Sequence[int],
    scripts: Sequence[np.ndarray],
    act: Act,
) -> list[np.ndarray]:
    """The actions of the running episodes: by script while it lasts."""
    free = any(t >= len(scripts[i]) for i in running)
    chosen = act(observations, np.full(len(observations), t)) if free else ()
    return [scripts[i][t] if t < len(scripts[i]) else chosen[i] for i in running]


def _reset(environment: CheckedEnv, seed: int):
    return environment.reset(seed=int(seed))


def _step(environment: CheckedEnv, action: np.ndarray):
    return environment.step(action)
