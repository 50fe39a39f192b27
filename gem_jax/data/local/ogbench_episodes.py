"""What OGBench's recipes have in common: episodes whose rewards are made on reading.

A trajectory serves all tasks of its world. It keeps what tells whether a task is solved
(`qpos`, `button_states`) and `qvel`, a row an observation.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol

import numpy as np

from gem_jax.data import episodes
from gem_jax.envs import ogbench

_KEPT = {"qpos": np.float32, "qvel": np.float32, "button_states": np.int8}


class Behavior(Protocol):
    """What acts in an episode, and sends itself to the next target."""

    def begin(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        """Sees the first observation."""

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        """The next action, in [-1, 1]."""

    def after(self, info: dict[str, Any]) -> None:
        """Sees what the action brought."""


def split(name: str) -> tuple[str, str]:
    """World and variant of a set, such as ``cube-double-play-v0``."""
    world, _, variant = name.removesuffix("-v0").rpartition("-")
    return world, variant


def describe(
    task_name: str, num_transitions: int, seed: np.random.SeedSequence
) -> dict[str, Any]:
    """What else fixes a set: the version of the oracles."""
    del task_name, num_transitions, seed
    return {"ogbench": ogbench.version()}


def shares(
    num_transitions: int, longest: int, seed: np.random.SeedSequence
) -> Iterator[tuple[int, np.random.SeedSequence]]:
    """Steps and seed of each episode; the last may be shorter than ``longest``."""
    starts = range(0, num_transitions, longest)
    for start, child in zip(starts, seed.spawn(len(starts)), strict=True):
        yield min(longest, num_transitions - start), child


def record(
    env: Any,
    behavior: Behavior,
    steps: int,
    seed: int,
    options: dict[str, Any] | None = None,
) -> episodes.Episode:
    """One episode of ``steps`` steps, without rewards.

    Args:
      env: of ``gem_jax.envs.ogbench.make_recorder``.
      behavior: acts.
      steps: of the episode, however it goes.
      seed: of the reset.
      options: of the reset.
    """
    observation, info = env.reset(seed=seed, options=options)
    behavior.begin(observation, info)
    observations, actions = [observation], []
    states: dict[str, list[np.ndarray]] = {}
    for _ in range(steps):
        actions.append(behavior.act(observation, info))
        observation, _, _, _, info = env.step(actions[-1])
        behavior.after(info)
        observations.append(observation)
        for name in filter(info.__contains__, _KEPT):
            states.setdefault(name, [info[f"prev_{name}"]]).append(info[name])
    return episodes.Episode(
        observations=np.array(observations, np.float32),
        actions=np.array(actions, np.float32),
        rewards=np.zeros(steps, np.float32),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
        infos={name: np.array(rows, _KEPT[name]) for name, rows in states.items()},
    )
