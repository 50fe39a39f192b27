"""Minari's ports of D4RL's mazes: which they are, and why they cannot serve."""

from __future__ import annotations

import re

from gem_jax import errors
from gem_jax.data import tasks

_PORT = re.compile(r"D4RL/(antmaze|pointmaze)/(.+)-v\d+")
_NAMES = {"antmaze": "antmaze-{}-v2", "pointmaze": "maze2d-{}-v1"}
_DIFFERENCES = {
    "antmaze": "its ant is another (0.05 s a step and torques of 150 N m, D4RL's 0.1 s "
    "and 30), coordinates are centered and flipped",
    "pointmaze": "its coordinates are centered and flipped",
}


def refuse(dataset_id: str) -> None:
    """Refuses Minari's AntMaze and PointMaze, which are not D4RL's.

    Raises:
      UserError: says what the dataset is a port of, and why it cannot serve.
    """
    port = _PORT.fullmatch(dataset_id)
    if port is None:
        return
    family, maze = port.groups()
    name = _NAMES[family].format(maze)
    known = name in tasks.table()
    raise errors.UserError(
        f"{dataset_id} is Minari's port of {name if known else 'a maze'} and cannot be "
        f"used: {_DIFFERENCES[family]}, and it rewards each episode for a goal of its "
        f"own; use --env={name if known else 'NAME'} with --source=d4rl or "
        "--source=local"
    )


def other_goals(task: tasks.Task | None) -> str:
    """Why observations that hold a goal are of no use for a task without one."""
    whose = f"of {task.name} " if task else ""
    return (
        "it rewards each episode for a goal of its own, which observations "
        f"{whose}do not show; use --source=d4rl or --source=local"
    )
