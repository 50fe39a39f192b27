"""Decision Transformer: the settings of the library behind the published tables.

python -m experiments.train --algo=dt --env=hopper-medium-v2 --preset=paper

The reference evaluates two targets and reports the better one. The default is the
first; the other is half of it, experiments.evaluate --target_return=1800.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import dt
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

# Navigation has no target: the reference has no such task.
_TARGETS = {
    "halfcheetah": 12_000.0,
    "hopper": 3_600.0,
    "walker2d": 5_000.0,
    "antmaze": 1.0,
    "maze2d": 280.0,
}
_BY_SUITE: dict[str, dict[str, Any]] = {
    "locomotion": {},
    "antmaze": dict(reward_scale=1.0, batch_size=64, learning_rate=1e-4),
    "maze2d": dict(reward_scale=1.0),
    "navigation": {},
}
# An eighth of the products for a window, and few windows a step.
_SMALLER: dict[str, Any] = dict(batch_size=64, context=10, width=64, learning_rate=8e-4)
_LAPTOP_STEPS = 20_000
_WINDOW = dt.Config.context


def get_config(task: Task, preset: str) -> dt.Config:
    """The settings for one task under one preset."""
    # Elsewhere every step of an episode has an embedding too, and a window more.
    elsewhere = dict(num_times=max(task.horizon + _WINDOW, dt.Config.num_times))
    settings = dict(_BY_SUITE.get(task.suite, elsewhere))
    kind = task.world if task.suite == "locomotion" else task.suite
    if kind in _TARGETS:
        settings["target_return"] = _TARGETS[kind]
    if preset != "paper":
        steps = shared.num_steps(task, preset)
        steps = min(steps, _LAPTOP_STEPS)
        settings |= _SMALLER | dict(num_steps=steps, warmup_steps=steps // 10)
    return dataclasses.replace(dt.Config(), **settings)
