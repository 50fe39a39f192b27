"""SSAR: the reference's settings by dataset.

Where it has none, on random, full-replay, maze2d and navigation, what is trusted and
allowed is that of its medium-replay sets. Thresholds are returns of D4RL's files and
mean nothing for other data of the same name, so that the presets besides ``paper``,
which take any source, go by values.

python -m experiments.train --algo=ssar --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import ssar
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def _above(threshold: float, n_end: float) -> dict[str, Any]:
    return dict(trust="return", return_threshold=threshold, n_end=n_end)


def _by_value(expectile: float, n_end: float) -> dict[str, Any]:
    return dict(trust="value", value_expectile=expectile, n_end=n_end)


_ANTMAZE: dict[str, Any] = dict(
    num_steps=2_000_000, trust="goal", clone_untrusted=True, n_start=5.0, n_end=5.0
)
_NAVIGATION: dict[str, Any] = dict(
    hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
    beta_hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
    discount=0.999,
    value_expectile=0.9,  # IQL's there
)
_ELSEWHERE = _by_value(0.7, 3.0)
_BY_TASK: dict[str, dict[str, Any]] = {
    "halfcheetah-medium-v2": _above(5200.0, 3.0),
    "hopper-medium-v2": _above(1800.0, 3.0),
    "walker2d-medium-v2": _above(2500.0, 3.0),
    "halfcheetah-medium-expert-v2": _by_value(0.7, 1.5) | dict(clone_untrusted=True),
    "hopper-medium-expert-v2": _by_value(0.5, 1.5),
    "walker2d-medium-expert-v2": _by_value(0.7, 1.5),
    "halfcheetah-expert-v2": _above(10_500.0, 1.5),
    "hopper-expert-v2": _above(3500.0, 1.5),
    "walker2d-expert-v2": _above(4500.0, 1.5),
    "antmaze-umaze-v2": _ANTMAZE | dict(n_start=1.0),
    "antmaze-umaze-diverse-v2": _ANTMAZE | dict(n_start=1.0, n_end=3.0),
    "antmaze-medium-play-v2": _ANTMAZE,
    "antmaze-medium-diverse-v2": _ANTMAZE,
    "antmaze-large-play-v2": _ANTMAZE,
    "antmaze-large-diverse-v2": _ANTMAZE,
}
_VALUE_STEPS = {"laptop": 30_000, "smoke": 300}
_INCREASES = 20  # of n, as many as the reference has in a million steps


def get_config(task: Task, preset: str) -> ssar.Config:
    """The settings for one task under one preset."""
    settings = dict(_BY_TASK.get(task.name, _ELSEWHERE))
    if preset != "paper":
        settings |= _fewer_steps(task, preset)
    if task.suite == "navigation":
        settings |= _NAVIGATION
    return dataclasses.replace(ssar.Config(), **settings)


def _fewer_steps(task: Task, preset: str) -> dict[str, Any]:
    num_steps = shared.num_steps(task, preset)
    settings: dict[str, Any] = dict(
        num_steps=num_steps,
        n_period=num_steps // _INCREASES,
        beta_learning_rate=3e-7,  # as far in a tenth of the steps
        beta_hidden_sizes=(256, 256),
        value_steps=_VALUE_STEPS[preset],
        value_layer_norm=True,
    )
    # A few episodes of AntMaze may not come to a goal.
    if preset == "smoke" or task.suite != "antmaze":
        settings["trust"] = "value"
    return settings
