"""What the algorithms' settings have in common.

They are the references', the same for every source of data: the settings of the
implementation whose IQL results are the published ones. A suite that is not named, as
that of tasks of one's own, has the defaults of each method's ``Config``. GEM has these
under ``paper`` alone.
"""

from __future__ import annotations

from typing import Any

from gem_jax.data.tasks import Task

# Expectile and inverse temperature of the IQL family; on navigation EMPO's discount.
_VALUE_LEARNING: dict[str, dict[str, float]] = {
    "locomotion": dict(expectile=0.7, beta=3.0),
    "maze2d": dict(expectile=0.7, beta=3.0),
    "antmaze": dict(expectile=0.9, beta=10.0),
    "navigation": dict(expectile=0.9, beta=3.0, discount=0.999),
    "ogbench": dict(expectile=0.9, beta=10.0),
}
_VALUE_LEARNING_BY_TASK: dict[str, dict[str, float]] = {
    "hopper-medium-expert-v2": dict(expectile=0.5, beta=6.0),
    "hopper-medium-v2": dict(polyak=0.001),
    "hopper-medium-replay-v2": dict(polyak=0.001),
}
# Outside ``paper``: IQL's two critics, and LayerNorm, which the references have not and
# values learned in few updates need.
_FEWER_STEPS: dict[str, Any] = dict(num_critics=2, critic_layer_norm=True)
# Gradient steps that two cores finish in time; a task that nobody has tried gets
# those of the middle.
_LAPTOP_STEPS_ELSEWHERE = 50_000
_LAPTOP_STEPS = {
    "locomotion": 100_000,
    "maze2d": 40_000,
    "antmaze": 60_000,
    "navigation": 40_000,
    "ogbench": 60_000,
}
_SMOKE_STEPS = 600

# EMPO's Table 4 on navigation, and for the methods it is compared with there.
NAVIGATION_HIDDEN_SIZES = (64, 64, 64)
# FQL's paper, for every method that it compares on OGBench.
OGBENCH_HIDDEN_SIZES = (512, 512, 512, 512)


def value_learning(task: Task, preset: str) -> dict[str, Any]:
    """How IQL, its kin and the paper's GEM learn values and weigh actions."""
    settings = _VALUE_LEARNING.get(task.suite, {})
    settings = settings | _VALUE_LEARNING_BY_TASK.get(task.name, {})
    if preset == "paper":
        return settings
    return settings | _FEWER_STEPS | {"num_steps": num_steps(task, preset)}


def num_steps(task: Task, preset: str) -> int:
    """Gradient steps of ``laptop`` and ``smoke``."""
    if preset == "smoke":
        return _SMOKE_STEPS
    return _LAPTOP_STEPS.get(task.suite, _LAPTOP_STEPS_ELSEWHERE)
