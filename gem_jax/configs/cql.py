"""CQL: the reference's settings by suite.

python -m experiments.train --algo=cql --env=walker2d-medium-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import cql
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

_BY_SUITE: dict[str, dict[str, Any]] = {
    "locomotion": {},
    "maze2d": dict(lagrange=True, action_gap=5.0),
    "antmaze": dict(
        lagrange=True,
        action_gap=0.8,
        cql_alpha=5.0,
        least_gap=-200.0,
        max_backup=True,
        learning_rate=1e-4,
        critic_hidden_sizes=(256,) * 5,
        normalize_observations=False,
    ),
    "ogbench": {},
    "navigation": dict(
        hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
        critic_hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
        discount=0.999,
    ),
}
# Of each source, where two cores are to finish. The soft maximum depends on their
# number, and so does a gap that a multiplier keeps.
_FEWER_ACTIONS = 4


def get_config(task: Task, preset: str) -> cql.Config:
    """The settings for one task under one preset."""
    settings = dict(_BY_SUITE.get(task.suite, {}))
    if preset != "paper":
        settings |= dict(
            num_steps=shared.num_steps(task, preset), critic_layer_norm=True
        )
        if not settings.get("lagrange"):
            settings["num_actions"] = _FEWER_ACTIONS
        if task.suite != "navigation":
            settings |= dict(hidden_sizes=(256, 256), critic_hidden_sizes=(256, 256))
    return dataclasses.replace(cql.Config(), **settings)
