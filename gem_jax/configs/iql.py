"""Implicit Q-learning: the reference implementation's settings.

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


def get_config(task: Task, preset: str) -> iql.Config:
    """The settings for one task under one preset."""
    settings = shared.value_learning(task, preset) | _BY_TASK.get(task.name, {})
    return iql.Config(**settings)
