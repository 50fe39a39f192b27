"""GEM: the paper's protocol, and a shorter form for two cores.

python -m experiments.train --env=antmaze-umaze-v2 --preset=paper
"""

from __future__ import annotations

from typing import Any

from gem_jax.algorithms import gem
from gem_jax.configs import shared
from gem_jax.data.tasks import Task

# Of acting, for every suite and every source: the paper's.
_KNOBS: dict[str, Any] = dict(
    anchor="mode",
    value_scale="reward",
    kappa=1.0,
    lambda_start=1.0,
    lambda_end=0.1,
    lambda_schedule="decay",
)
_SIZES: dict[str, dict[str, int]] = {
    "paper": {},
    "laptop": dict(behavior_steps=30_000, behavior_batch_size=256, num_candidates=64),
    "smoke": dict(behavior_steps=300, behavior_batch_size=256, num_candidates=16),
}


def get_config(task: Task, preset: str) -> gem.Config:
    """The settings for one task under one preset."""
    learning = shared.value_learning(task, preset)
    return gem.Config(**learning | _KNOBS | _SIZES[preset])
