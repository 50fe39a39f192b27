"""Diffusion-QL: the reference's settings, AntMaze's for v0 of its data.

python -m experiments.train --algo=diffusion_ql --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import diffusion_ql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_ANTMAZE: dict[str, Any] = dict(num_steps=1_000_000, num_backup=10)
_BY_TASK: dict[str, dict[str, Any]] = {
    "halfcheetah-medium-v2": dict(max_grad_norm=9.0),
    "hopper-medium-v2": dict(max_grad_norm=9.0),
    "walker2d-medium-v2": dict(max_grad_norm=1.0),
    "halfcheetah-medium-replay-v2": dict(max_grad_norm=2.0),
    "hopper-medium-replay-v2": dict(max_grad_norm=4.0),
    "walker2d-medium-replay-v2": dict(max_grad_norm=4.0),
    "halfcheetah-medium-expert-v2": dict(max_grad_norm=7.0),
    "hopper-medium-expert-v2": dict(max_grad_norm=5.0),
    "walker2d-medium-expert-v2": dict(max_grad_norm=5.0),
    "antmaze-umaze-v2": dict(eta=0.5, max_grad_norm=2.0, num_backup=1),
    "antmaze-umaze-diverse-v2": dict(eta=2.0, max_grad_norm=3.0),
    "antmaze-medium-play-v2": dict(eta=2.0, max_grad_norm=2.0, learning_rate=1e-3),
    "antmaze-medium-diverse-v2": dict(eta=3.0, max_grad_norm=1.0),
    "antmaze-large-play-v2": dict(eta=4.5, max_grad_norm=10.0),
    "antmaze-large-diverse-v2": dict(eta=3.5, max_grad_norm=7.0),
}


def get_config(task: Task, preset: str) -> diffusion_ql.Config:
    """The settings for one task under one preset."""
    settings = dict(_ANTMAZE) if task.suite == "antmaze" else {}
    settings |= _BY_TASK.get(task.name, {})
    if preset != "paper":
        settings["num_steps"] = shared.num_steps(task, preset)
    if task.suite == "navigation":
        settings |= dict(hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES, discount=0.999)
    return dataclasses.replace(diffusion_ql.Config(), **settings)
