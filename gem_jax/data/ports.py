"""What Minari publishes beside D4RL's sets, and which sets cannot serve, and why."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from gem_jax import errors
from gem_jax.data import ogbench, tasks
from gem_jax.data.task import OWN

_PORT = re.compile(r"D4RL/(antmaze|pointmaze)/(.+)-v\d+")
_NAMES = {"antmaze": "antmaze-{}-v2", "pointmaze": "maze2d-{}-v1"}
_DIFFERENCES = {
    "antmaze": "its ant is another (0.05 s a step and torques of 150 N m, D4RL's 0.1 s "
    "and 30), coordinates are centered and flipped",
    "pointmaze": "its coordinates are centered and flipped",
}
# Minari's nearest published relatives of D4RL's sets.
_PUBLISHED = {
    f"{robot}-{quality}-v2": f"mujoco/{robot}/{quality}-v0"
    for robot in ("halfcheetah", "hopper", "walker2d")
    for quality in ("medium", "expert")
}


def published_id(task: tasks.Task) -> str:
    """The id of the published dataset that comes nearest to a task's.

    Raises:
      UserError: Minari publishes nothing like it, or nothing that can be used as is.
    """
    if task.suite in ("antmaze", "maze2d"):
        raise errors.UserError(
            f"Minari's counterpart of {task.name} cannot be used: {other_goals(task)}"
        )
    try:
        return _PUBLISHED[task.name]
    except KeyError:
        raise errors.UserError(
            f"Minari publishes no counterpart of {task.name}; name a dataset with "
            f"--source=minari:ID, or use {_other_sources(task)}"
        ) from None


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


def refuse_unrewarded(
    metadata: Mapping[str, Any], task: tasks.Task | None, where: str
) -> None:
    """Refuses local sets of OGBench's worlds, whose rewards only its tasks give.

    Args:
      metadata: of the set.
      task: that it is to serve; None where one is told from the data.
      where: the set, for the message.

    Raises:
      UserError: names a task that gives rewards.
    """
    recipe = metadata.get("recipe")
    name = str(recipe.get("name")) if isinstance(recipe, Mapping) else ""
    rewarded = task is not None and task.suite == ogbench.SUITE
    if rewarded or not name.startswith(ogbench.SUITE):
        return
    made_as = str(metadata.get("dataset_id"))
    rows = (row for row in tasks.table().values() if row.suite == ogbench.SUITE)
    fit = (row.name for row in rows if f"/{ogbench.dataset(row)}/" in made_as)
    env = next(fit, "NAME")
    raise errors.UserError(
        f"{where} has no rewards: they are those of one of OGBench's tasks; use one, "
        f"such as --env={env}"
    )


def other_goals(task: tasks.Task | None) -> str:
    """Why a goal that is no part of the observations cannot be learned from."""
    if task is None or task.suite == OWN:
        return (
            "it rewards each episode for a goal of its own, which stands beside the "
            "observations; name parts by observation_keys of a task file, or join both "
            "in rows of numbers for --source=file:PATH"
        )
    return (
        "it rewards each episode for a goal of its own, which observations "
        f"of {task.name} do not show; use {_other_sources(task)}"
    )


def _other_sources(task: tasks.Task) -> str:
    """The flags by which a task has data, Minari aside."""
    found = [task.original.publisher] if task.original else []
    found += ["local"] if task.recipe else []
    return " or ".join(f"--source={source}" for source in found or ["file:PATH"])
