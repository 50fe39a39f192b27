"""LOM: the settings of the authors' implementation.

python -m experiments.train --algo=lom --env=hopper-full-replay-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import lom
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

# By variant and robot: num_critics, num_components, beta, action_noise, max_weight.
_BY_TASK: dict[str, tuple[int, int, float, float, float]] = {
    "halfcheetah-medium-replay-v2": (1, 5, 5.0, 0.4, 100.0),
    "hopper-medium-replay-v2": (1, 5, 5.0, 0.0, 50.0),
    "walker2d-medium-replay-v2": (1, 10, 5.0, 0.0, 50.0),
    "halfcheetah-full-replay-v2": (1, 10, 5.0, 0.4, 100.0),
    "hopper-full-replay-v2": (2, 10, 5.0, 0.0, 50.0),
    "walker2d-full-replay-v2": (1, 10, 5.0, 0.0, 50.0),
    "halfcheetah-medium-v2": (1, 2, 5.0, 0.4, 100.0),
    "hopper-medium-v2": (3, 5, 5.0, 0.0, 50.0),
    "walker2d-medium-v2": (1, 2, 5.0, 0.0, 50.0),
    "halfcheetah-medium-expert-v2": (2, 1, 0.1, 0.0, 50.0),
    "hopper-medium-expert-v2": (6, 2, 0.1, 0.0, 50.0),
    "walker2d-medium-expert-v2": (3, 5, 0.1, 0.2, 50.0),
    "halfcheetah-expert-v2": (1, 2, 0.1, 0.0, 50.0),
    "hopper-expert-v2": (1, 2, 0.1, 0.0, 50.0),
    "walker2d-expert-v2": (1, 5, 0.1, 0.2, 50.0),
}
_SMOOTHED = ("medium", "medium-replay", "full-replay")  # whose targets have noise
_SMOOTHED_TOO = "hopper-expert-v2"
_NAVIGATION: dict[str, Any] = dict(
    hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
    behavior_hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
    num_components=2,  # as many as EMPO has clusters there
    num_critics=2,  # with one, both steps of the policy follow its errors
    discount=0.999,
)
# With EMPO's rate of targets there, values cross the horizon in these steps; in 40,000
# at the usual rate they do not. The networks are small.
_LAPTOP_NAVIGATION: dict[str, Any] = dict(
    polyak=0.05, num_steps=150_000, behavior_steps=10_000
)
_FEWER: dict[str, dict[str, Any]] = {
    "laptop": dict(behavior_steps=30_000),
    "smoke": dict(behavior_steps=300),
}
_SMALLER: dict[str, Any] = dict(
    behavior_batch_size=256, behavior_hidden_sizes=(256, 256), modes_batch_size=256
)


def get_config(task: Task, preset: str) -> lom.Config:
    """The settings for one task under one preset."""
    settings: dict[str, Any] = {}
    if task.name in _BY_TASK:
        names = "num_critics num_components beta action_noise max_weight".split()
        settings = dict(zip(names, _BY_TASK[task.name], strict=True))
    if task.variant in _SMOOTHED or task.name == _SMOOTHED_TOO:
        settings["target_noise"] = 0.2
    if preset != "paper":
        settings |= _SMALLER | _FEWER[preset]
        settings["num_steps"] = shared.num_steps(task, preset)
    if task.suite == "navigation":
        settings |= _NAVIGATION
        settings |= _LAPTOP_NAVIGATION if preset == "laptop" else {}
    return dataclasses.replace(lom.Config(), **settings)
