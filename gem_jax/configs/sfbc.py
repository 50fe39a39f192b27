"""SfBC: the settings of the authors' implementation.

python -m experiments.train --algo=sfbc --env=walker2d-medium-expert-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import sfbc
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_FEWER: dict[str, dict[str, Any]] = {
    "laptop": dict(behavior_steps=30_000),
    "smoke": dict(behavior_steps=300),
}
_SMALLER: dict[str, Any] = dict(
    batch_size=256,
    behavior_batch_size=256,
    behavior_learning_rate=3e-4,
    planning_samples=4,
    sampling_steps=10,
)


# After 20,000 steps of a generation rollouts stay where two routes cross. The networks
# are small.
_LAPTOP_NAVIGATION: dict[str, Any] = dict(num_steps=120_000, behavior_steps=20_000)


def _critic_steps(task: Task) -> int:
    """A hundred epochs, each of whole passes over the data, at batches of 4096."""
    wanted = 2_000_000 if task.suite == "antmaze" else 1_000_000
    passes = max(round(wanted / task.num_transitions), 1)
    return 100 * passes * task.num_transitions // 4096


def get_config(task: Task, preset: str) -> sfbc.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.suite == "locomotion":
        settings["num_averaged"] = 4
    if task.suite in ("locomotion", "antmaze", "maze2d"):
        settings["num_steps"] = _critic_steps(task)
    if task.world == "large" and task.suite == "antmaze":
        settings["hidden_sizes"] = (512, 256, 256)
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
        settings["behavior_hidden_sizes"] = shared.NAVIGATION_HIDDEN_SIZES
    if preset != "paper":
        settings |= _SMALLER | _FEWER[preset]
        steps = shared.num_steps(task, preset)
        settings["num_steps"] = steps // 2  # of each of two generations
    if task.suite == "navigation" and preset == "laptop":
        settings |= _LAPTOP_NAVIGATION
    return dataclasses.replace(sfbc.Config(), **settings)
