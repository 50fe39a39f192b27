"""AWAC: the reference's settings by suite.

python -m experiments.train --algo=awac --env=hopper-medium-expert-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import awac
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(task: Task, preset: str) -> awac.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.suite in ("antmaze", "maze2d", "navigation", "ogbench"):
        settings["temperature"] = 0.1
    if preset != "paper":
        settings |= dict(hidden_sizes=(256, 256), critic_layer_norm=True)
        settings["num_steps"] = shared.num_steps(task, preset)
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
    return dataclasses.replace(awac.Config(), **settings)
