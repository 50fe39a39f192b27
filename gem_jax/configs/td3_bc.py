"""TD3+BC: the reference's settings.

python -m experiments.train --algo=td3_bc --env=navigation-v0
"""

from __future__ import annotations

import dataclasses

from gem_jax.algorithms import td3_bc
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(task: Task, preset: str) -> td3_bc.Config:
    """The settings for one task under one preset."""
    config = td3_bc.Config()
    if task.suite == "navigation":  # as EMPO's, for the comparison
        config = dataclasses.replace(
            config, discount=0.999, hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES
        )
    if preset == "paper":
        return config
    return dataclasses.replace(config, num_steps=shared.num_steps(task, preset))
