"""GEM: the paper's protocol, and a form that two cores train in half an hour.

Published, 1M updates on D4RL's files, knobs swept by suite: antmaze-umaze 83,
maze2d 59 / 118 / 90.

    python -m experiments.train --env=antmaze-umaze-v2 --preset=paper

``laptop`` differs from ``paper`` in what README measures: two critics with LayerNorm,
and 64 candidates.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from experiments.configs import shared
from gem_jax.algorithms import gem
from gem_jax.data.tasks import Task

_BY_TASK = {
    "hopper-medium-expert-v2": dict(expectile=0.5, beta=6.0),
}
_LAPTOP: dict[str, Any] = dict(
    num_critics=2,
    critic_layer_norm=True,
    behavior_steps=30_000,
    behavior_batch_size=256,
    num_candidates=64,
)


def get_config(task: Task, preset: str) -> gem.Config:
    """The settings for one task under one preset."""
    config = gem.Config(**shared.value_learning(task) | _BY_TASK.get(task.name, {}))
    if preset == "paper":
        return config
    config = dataclasses.replace(
        config, num_steps=shared.num_steps(task, preset), **_LAPTOP
    )
    if preset == "smoke":
        config = dataclasses.replace(config, behavior_steps=300, num_candidates=16)
    return config
