"""Behavior cloning.

Published, 1M updates on D4RL's files: antmaze-umaze 55, maze2d 0.4 / 0.8 / 2.3.

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
