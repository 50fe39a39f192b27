"""Implicit Q-learning: the reference's settings, on OGBench those of FQL's paper.

python -m experiments.train --algo=iql --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

from typing import Any

from gem_jax.algorithms import iql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_DETERMINISTIC: dict[str, Any] = dict(log_std_min=0.0, log_std_max=0.0)
_BY_TASK = {
    "hopper-medium-v2": _DETERMINISTIC,
    "hopper-medium-replay-v2": _DETERMINISTIC,
}
# The inverse temperature by OGBench's world, 10 in others.
_OGBENCH_BETA = {"cube-single": 1.0, "cube-double": 0.3, "puzzle-4x4": 3.0}
_OGBENCH: dict[str, Any] = dict(
    hidden_sizes=shared.OGBENCH_HIDDEN_SIZES, critic_layer_norm=True
)


def get_config(task: Task, preset: str) -> iql.Config:
    """The settings for one task under one preset."""
    settings = shared.value_learning(task, preset) | _BY_TASK.get(task.name, {})
    if task.suite == "ogbench":
        settings["beta"] = _OGBENCH_BETA.get(task.world or "", settings["beta"])
        settings |= _OGBENCH if preset == "paper" else {}
    return iql.Config(**settings)
