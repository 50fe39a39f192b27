"""Behavior cloning: the settings of the published tables.

python -m experiments.train --algo=bc --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses

from gem_jax.algorithms import bc
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(task: Task, preset: str) -> bc.Config:
    """The settings for one task under one preset."""
    config = bc.Config()
    if task.suite == "navigation":
        config = dataclasses.replace(
            config, hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES
        )
    if preset == "paper":
        return config
    return dataclasses.replace(config, num_steps=shared.num_steps(task, preset))
