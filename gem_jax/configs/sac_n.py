"""SAC-N: the reference's settings; robots' numbers of critics where it has no dataset.

python -m experiments.train --algo=sac_n --env=walker2d-medium-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import sac_n
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_BY_ROBOT = {"halfcheetah": 10, "walker2d": 20, "hopper": 200}
_BY_TASK = {"hopper-medium-v2": 500}
_ELSEWHERE = 25
# ``laptop`` and ``smoke`` have no larger ensembles.
MOST_CRITICS = 10


def get_config(task: Task, preset: str) -> sac_n.Config:
    """The settings for one task under one preset."""
    count = _BY_TASK.get(task.name, _BY_ROBOT.get(task.world, _ELSEWHERE))
    settings = {"num_critics": count} | smaller(task, preset, count)
    return dataclasses.replace(sac_n.Config(), **settings)


def smaller(task: Task, preset: str, num_critics: int) -> dict[str, Any]:
    """What the presets of fewer steps change, and navigation."""
    settings: dict[str, Any] = {}
    if preset != "paper":
        settings = dict(
            num_steps=shared.num_steps(task, preset),
            num_critics=min(num_critics, MOST_CRITICS),
            hidden_sizes=(256, 256),
            critic_layer_norm=True,
        )
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
    return settings
