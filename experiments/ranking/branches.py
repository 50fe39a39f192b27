"""Episodes that follow a script first and a policy then, side by side.

An environment that is reset with the same seed and given the same actions is in the
same state again. So any state of an episode can be returned to, whatever simulates it.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import os
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import numpy as np

from gem_jax import envs
from gem_jax.data.task import Task
from gem_jax.envs.checked import CheckedEnv
from gem_jax.training import evaluation

# Observations `[B, O]` and their common step to raw actions `[B, A]`.
Act = Callable[[np.ndarray, int], np.ndarray]


class Episode(NamedTuple):
    """Attributes:
    observations: `[T, O]`, before each action.
    actions: `[T, A]`, raw.
    rewards: `[T]`.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray

    def return_from(self, t: int, discount: float) -> float:
        """Discounted rewards from step t to the end."""
        rewards = self.rewards[t:]
        return float(np.sum(rewards * discount ** np.arange(len(rewards))))


# Reset seeds, `[k, A]` raw actions that each episode begins with, and what chooses the
# others, to whole episodes. That is asked with a row for every episode of a wave; what
# it answers to one that follows its script, or has ended, is not used.
Play = Callable[[Sequence[int], Sequence[np.ndarray], Act], list[Episode]]


@contextlib.contextmanager
def make_player(task: Task) -> Iterator[Play]:
    """Yields ``play``; environments are made as they are needed, and closed at the end.

    Raises:
      UserError: the task names no environment, or it fails.
    """
    environments = [CheckedEnv(task)]
    most = envs.most_alive(environments[0].name, evaluation.MAX_ENVS)
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:

        def play(
            seeds: Sequence[int], scripts: Sequence[np.ndarray], act: Act
        ) -> list[Episode]:
            while len(environments) < min(len(seeds), most):
                environments.append(CheckedEnv(task))
            episodes: list[Episode] = []
            for first in range(0, len(seeds), most):
                wave = slice(first, first + most)
                episodes += _play_wave(
                    pool, environments, seeds[wave], scripts[wave], act
                )
            return episodes

        try:
            yield play
        finally:
            for environment in environments:
                environment.close()


def _play_wave(
    pool: concurrent.futures.Executor,
    environments: Sequence[CheckedEnv],
    seeds: Sequence[int],
    scripts: Sequence[np.ndarray],
    act: Act,
) -> list[Episode]:
    """One episode in each of the first ``len(seeds)`` environments."""

    def reset(row: int) -> np.ndarray:
        return environments[row].reset(seed=int(seeds[row]))[0].copy()

    def step(row: int, action: np.ndarray) -> tuple[np.ndarray, float, bool]:
        observation, reward, ended, cut, _ = environments[row].step(action)
        return observation.copy(), reward, ended or cut

    running, t = list(range(len(seeds))), 0
    shown = list(pool.map(reset, running))
    taken: list[list[tuple[np.ndarray, np.ndarray, float]]] = [[] for _ in running]
    while running:
        actions = _choose(np.stack(shown), t, running, scripts, act)
        results = list(pool.map(step, running, actions))
        for row, action, (observation, reward, _) in zip(running, actions, results):
            taken[row].append((shown[row], action, reward))
            shown[row] = observation
        running = [row for row, (_, _, ended) in zip(running, results) if not ended]
        t += 1
    return [Episode(*map(np.array, zip(*steps))) for steps in taken]


def _choose(
    observations: np.ndarray,
    t: int,
    running: Sequence[int],
    scripts: Sequence[np.ndarray],
    act: Act,
) -> list[np.ndarray]:
    """The actions of the running episodes: by script while it lasts."""
    scripted = {row for row in running if t < len(scripts[row])}
    chosen = act(observations, t) if len(scripted) < len(running) else ()
    return [scripts[row][t] if row in scripted else chosen[row] for row in running]
