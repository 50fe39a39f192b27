"""IDQL: the reference's settings.

python -m experiments.train --algo=idql --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import idql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(task: Task, preset: str) -> idql.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.suite in ("antmaze", "navigation", "ogbench"):
        settings["expectile"] = 0.9
    if preset != "paper":
        settings |= dict(batch_size=256, critic_layer_norm=True)
        settings["num_steps"] = shared.num_steps(task, preset)
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
    return dataclasses.replace(idql.Config(), **settings)
