"""IFQL: the reference's settings for AntMaze and OGBench, IQL's expectile elsewhere.

python -m experiments.train --algo=ifql --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import ifql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(task: Task, preset: str) -> ifql.Config:
    """The settings for one task under one preset."""
    learning = shared.value_learning(task, preset)
    names = ("expectile", "discount", "num_steps")
    settings: dict[str, Any] = {n: learning[n] for n in names if n in learning}
    if preset != "paper":
        settings["hidden_sizes"] = (256, 256)
    elif task.suite == "ogbench":
        settings["num_steps"] = 1_000_000
    if task.suite == "navigation":
        settings["hidden_sizes"] = shared.NAVIGATION_HIDDEN_SIZES
    return dataclasses.replace(ifql.Config(), **settings)
