"""FQL: the reference's settings for AntMaze and OGBench.

python -m experiments.train --algo=fql --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import fql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_OGBENCH_ALPHA = {"cube": 300.0, "scene": 300.0, "puzzle": 1000.0}
_LARGE = ("antmaze-large-play-v2", "antmaze-large-diverse-v2")


def get_config(task: Task, preset: str) -> fql.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.name in _LARGE:
        settings["alpha"] = 3.0
    if task.suite == "ogbench":
        settings["num_steps"] = 1_000_000
        kind = task.world.partition("-")[0]
        settings |= {"alpha": _OGBENCH_ALPHA[kind]} if kind in _OGBENCH_ALPHA else {}
    if preset != "paper":
        settings["num_steps"] = shared.num_steps(task, preset)
        settings["hidden_sizes"] = (256, 256)
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
    return dataclasses.replace(fql.Config(), **settings)
