"""OGBench's recipe for its robot arm: its own oracles take things to random targets.

``play`` follows noisy plans; ``noisy`` decides at each step and is disturbed. The
oracles draw from NumPy's global generator, which every episode seeds.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from gem_jax.data import episodes
from gem_jax.data.local import ogbench_episodes
from gem_jax.envs import ogbench

VERSION = 1  # to be raised whenever the same seed gives other bytes
EPISODE_STEPS = 1000
MIN_SHARD = 5_000  # transitions: half a minute of one core

describe = ogbench_episodes.describe

_THINGS = {
    "cube": ("cube",),
    "scene": ("cube", "button", "drawer", "window"),
    "puzzle": ("button",),
}
# Range that an episode draws its chance of stacking cubes from.
_STACKING = {"cube-single": (0.0, 0.0), "cube-double": (0.0, 0.25)}
_STACKING_ELSEWHERE = (0.5, 0.5)
_RANDOM_ACTIONS = {"cube": 0.1, "scene": 0.1, "puzzle": 0.2}  # share, in ``noisy``
# An episode draws its noise up to this; its standard deviations are these multiples.
_LARGEST_NOISE = 0.1
_NOISE = np.array([1.0, 1.0, 1.0, 3.0, 10.0])
_CUBE = slice(14, 17)  # of the joint positions, where the scene's cube is


def generate_shard(
    part: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Episodes of 1000 steps without rewards; the last is cut short.

    Args:
      part: name of OGBench's set, such as ``cube-double-play-v0``.
      num_transitions: steps to record.
      seed: fixes every draw.
    """
    world, variant = ogbench_episodes.split(part)
    env = ogbench.make_recorder(world)
    oracles = _oracles(env, world, variant)
    shares = ogbench_episodes.shares(num_transitions, EPISODE_STEPS, seed)
    return [
        _episode(_Worker(env, oracles, world, variant), world, steps, child)
        for steps, child in shares
    ]


def _episode(
    worker: _Worker, world: str, steps: int, seed: np.random.SeedSequence
) -> episodes.Episode:
    """One episode; in the scene the first whose cube stays in sight."""
    while True:
        rng = np.random.default_rng(seed.spawn(1)[0])  # another one each time
        worker.draw(rng)
        with ogbench.global_draws(int(rng.integers(2**32))):
            episode = ogbench_episodes.record(
                worker.env, worker, steps, int(rng.integers(2**31))
            )
        if world != "scene" or _in_sight(episode.infos["qpos"][:, _CUBE]):
            return episode


def _in_sight(cube: np.ndarray) -> bool:
    """Whether the cube at `[T, 3]` never leaves the table but for the drawer."""
    _, y, z = cube.T
    in_drawer = (z >= 0.06) & (z <= 0.08)
    return not ((y >= 0.29) | ((y <= -0.3) & ~in_drawer)).any()


def _oracles(env: Any, world: str, variant: str) -> Mapping[str, Any]:
    """By what they handle."""
    kind = world.partition("-")[0]
    style, options = "plan", dict[str, Any](noise=0.1, noise_smoothing=0.5)
    if variant == "noisy":
        style, options = "markov", dict[str, Any](min_norm=0.4)
    if kind == "puzzle":
        options["gripper_always_closed"] = True
    return {
        thing: ogbench.component(
            f"manipspace.oracles.{style}.{thing}_{style}",
            f"{thing.title()}{style.title()}Oracle",
        )(env=env, **options)
        for thing in _THINGS[kind]
    }


class _Worker:
    """Lets the oracle of the current target act, disturbed in ``noisy``."""

    def __init__(
        self, env: Any, oracles: Mapping[str, Any], world: str, variant: str
    ) -> None:
        self.env = env
        self._oracles = oracles
        self._stacking = _STACKING.get(world, _STACKING_ELSEWHERE)
        self._noisy = variant == "noisy"
        self._random_actions = _RANDOM_ACTIONS[world.partition("-")[0]]

    def draw(self, rng: np.random.Generator) -> None:
        """Draws what an episode has of its own."""
        self._rng = rng
        self._stacking_chance = rng.uniform(*self._stacking)
        self._noise = rng.uniform(0.0, _LARGEST_NOISE) * _NOISE

    def begin(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        self._oracle = self._oracles[info["privileged/target_task"]]
        self._oracle.reset(observation, info)

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        if self._noisy and self._rng.uniform() < self._random_actions:
            return self._rng.uniform(-1.0, 1.0, len(_NOISE))
        action = self._oracle.select_action(observation, info)
        if self._noisy:
            action = action + self._rng.normal(0.0, self._noise)
        return np.clip(action, -1.0, 1.0)

    def after(self, info: dict[str, Any]) -> None:
        if self._oracle.done:
            target = self.env.unwrapped.set_new_target(p_stack=self._stacking_chance)
            self.begin(*target)
