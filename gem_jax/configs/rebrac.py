"""ReBRAC: the reference's settings by dataset, on OGBench those of FQL's paper.

python -m experiments.train --algo=rebrac --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import rebrac
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_BY_SUITE: dict[str, dict[str, Any]] = {
    "locomotion": {},
    "antmaze": dict(
        batch_size=256,
        actor_learning_rate=3e-4,
        critic_learning_rate=5e-5,
        discount=0.999,
    ),
    "maze2d": dict(batch_size=256, actor_learning_rate=3e-4, critic_learning_rate=3e-4),
    "navigation": dict(
        batch_size=256,
        hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
        actor_learning_rate=3e-4,
        critic_learning_rate=3e-4,
        discount=0.999,
    ),
    "ogbench": dict(
        batch_size=256,
        hidden_sizes=shared.OGBENCH_HIDDEN_SIZES,
        actor_learning_rate=3e-4,
        critic_learning_rate=3e-4,
    ),
}
# beta_1 and beta_2.
_CLONING: dict[str, tuple[float, float]] = {
    "halfcheetah-random-v2": (0.001, 0.1),
    "halfcheetah-medium-v2": (0.001, 0.01),
    "halfcheetah-expert-v2": (0.01, 0.01),
    "halfcheetah-medium-expert-v2": (0.01, 0.1),
    "halfcheetah-medium-replay-v2": (0.01, 0.001),
    "halfcheetah-full-replay-v2": (0.001, 0.1),
    "hopper-random-v2": (0.001, 0.01),
    "hopper-medium-v2": (0.01, 0.01),
    "hopper-expert-v2": (0.1, 0.1),
    "hopper-medium-expert-v2": (0.1, 0.01),
    "hopper-medium-replay-v2": (0.05, 0.5),
    "hopper-full-replay-v2": (0.01, 0.01),
    "walker2d-random-v2": (0.01, 0.0),
    "walker2d-medium-v2": (0.05, 0.1),
    "walker2d-expert-v2": (0.01, 0.5),
    "walker2d-medium-expert-v2": (0.01, 0.01),
    "walker2d-medium-replay-v2": (0.05, 0.01),
    "walker2d-full-replay-v2": (0.01, 0.01),
    "antmaze-umaze-v2": (0.003, 0.002),
    "antmaze-umaze-diverse-v2": (0.003, 0.001),
    "antmaze-medium-play-v2": (0.001, 0.0005),
    "antmaze-medium-diverse-v2": (0.001, 0.0),
    "antmaze-large-play-v2": (0.002, 0.001),
    "antmaze-large-diverse-v2": (0.002, 0.002),
    "maze2d-umaze-v1": (0.003, 0.001),
    "maze2d-medium-v1": (0.003, 0.001),
    "maze2d-large-v1": (0.003, 0.001),
}
# By OGBench's world, all sets of it.
_OGBENCH_CLONING: dict[str, tuple[float, float]] = {
    "cube-single": (1.0, 0.0),
    "cube-double": (0.1, 0.0),
    "scene": (0.1, 0.01),
    "puzzle-3x3": (0.3, 0.01),
    "puzzle-4x4": (0.3, 0.01),
}


def get_config(task: Task, preset: str) -> rebrac.Config:
    """The settings for one task under one preset."""
    settings = dict(_BY_SUITE.get(task.suite, {}))
    cloning = _CLONING.get(task.name)
    if task.suite == "ogbench":
        cloning = _OGBENCH_CLONING.get(task.world)
    if cloning:
        settings["actor_cloning"], settings["critic_cloning"] = cloning
    if preset != "paper":
        settings |= dict(num_steps=shared.num_steps(task, preset), batch_size=256)
        if task.suite != "navigation":
            settings["hidden_sizes"] = (256, 256)
    return dataclasses.replace(rebrac.Config(), **settings)
