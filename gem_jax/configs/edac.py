"""EDAC: the reference's settings.

python -m experiments.train --algo=edac --env=walker2d-medium-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import edac
from gem_jax.configs import sac_n
from gem_jax.data.tasks import Task

_HOPPER_CRITICS = 50
_ETA = {"halfcheetah-medium-expert-v2": 5.0, "walker2d-medium-expert-v2": 5.0}
_MAZE2D_ETA = 0.1


def get_config(task: Task, preset: str) -> edac.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.world == "hopper":
        settings["num_critics"] = _HOPPER_CRITICS
    if task.suite == "maze2d":
        settings["eta"] = _MAZE2D_ETA
    settings |= {"eta": _ETA[task.name]} if task.name in _ETA else {}
    config = dataclasses.replace(edac.Config(), **settings)
    changes = sac_n.smaller(task, preset, config.num_critics)
    return dataclasses.replace(config, **changes)
