"""EMPO: the two columns of the paper's Table 4, and forms that two cores can train.

    python -m experiments.train --algo=empo --env=navigation-v0

``docs/algorithms.md`` says what each of ``laptop``'s settings is for.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from gem_jax.algorithms import empo
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

# Table 4: the defaults of ``empo.Config`` are its column for D4RL.
_NAVIGATION: dict[str, Any] = dict(
    hidden_sizes=shared.NAVIGATION_HIDDEN_SIZES,
    discount=0.999,
    em_epochs=60,
    critic_steps=200_000,
    value_epochs=10,
    improve_epochs=10,
    expectile=0.9,
)
_LAPTOP: dict[str, Any] = dict(
    em_epochs=300,
    epoch_steps=100,
    averaging_rate=1e-3,
    posterior_window=100,
    window_start=150,
    window_stop=250,
    log_std_min=-2.0,
    cosine_decay=True,
    critic_steps=30_000,
    polyak=0.05,
    value_epochs=2,
    bootstrap_tail=True,
    improve_epochs=2,
    choice_target_period=100,
)
_LAPTOP_NAVIGATION: dict[str, Any] = dict(
    num_steps=100_000,
    uniform_epochs=4,
    em_epochs=60,
    epoch_steps=2_000,
    averaging_rate=1.0,
    posterior_window=0,  # all steps: the networks are small
    window_start=0,
    window_stop=0,
    critic_steps=60_000,
    value_epochs=4,
    improve_epochs=10,
)
_SMOKE: dict[str, Any] = dict(
    biased_epochs=1,
    uniform_epochs=1,
    em_epochs=3,
    critic_steps=300,
    value_epochs=1,
    improve_epochs=2,
)


def get_config(task: Task, preset: str) -> empo.Config:
    """The settings for one task under one preset."""
    navigation = task.suite == "navigation"
    config = empo.Config(**_NAVIGATION if navigation else {})
    if preset == "paper":
        return config
    shorter = _LAPTOP | (_LAPTOP_NAVIGATION if navigation else {})
    if preset == "smoke":
        shorter = _SMOKE
    steps = {"num_steps": shared.num_steps(task, preset)}
    return dataclasses.replace(config, **steps | shorter)
