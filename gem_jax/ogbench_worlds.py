"""Facts on OGBench's worlds, which the table of tasks needs without simulators."""

from __future__ import annotations

from typing import NamedTuple


class World(NamedTuple):
    """What the single tasks of a world have in common.

    Attributes:
      observation_size: length of an observation.
      action_size: length of an action in [-1, 1].
      horizon: time limit, steps.
      default_task: number of the task that a name without a number means.
      most_alive: environments at a time, of 0.2 GB each; 0 for any number.
    """

    observation_size: int
    action_size: int
    horizon: int
    default_task: int
    most_alive: int


WORLDS = {
    "cube-single": World(28, 5, 200, 2, 10),
    "cube-double": World(37, 5, 500, 2, 10),
    "scene": World(40, 5, 750, 2, 10),
    "puzzle-3x3": World(55, 5, 500, 4, 10),
    "puzzle-4x4": World(83, 5, 500, 4, 10),
    "pointmaze-medium": World(2, 2, 1000, 1, 0),
    "pointmaze-large": World(2, 2, 1000, 1, 0),
}
NUMBERS = (1, 2, 3, 4, 5)  # of a world's tasks
PREFIX = "gem_jax/OGBench-"  # of ids


def env_id(world: str, number: int) -> str:
    """The id of one task's environment, for ``gem_jax.envs.make``."""
    return f"{PREFIX}{world}-task{number}-v0"
