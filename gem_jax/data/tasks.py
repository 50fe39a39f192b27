"""The table of tasks: one row fixes data, environment, scores and conventions.

Names are D4RL's, EMPO's ``navigation-v0`` and OGBench's. Everything that differs
between two names stands in this table, so that no other file asks what a name contains.
Reference scores and horizons are public constants; file hashes are those of the
original files. A task that is not in the table stands in a file of its own,
``task_file``.
"""

from __future__ import annotations

import csv
import difflib
import functools
import os
from collections.abc import Iterator, Mapping
from importlib import resources
from typing import Any

from gem_jax import errors
from gem_jax.data import task_file
from gem_jax.data.ogbench import rows as ogbench
from gem_jax.data.task import OWN, Motion, OriginalFile, Task

_MINARI = "minari:"


def get(task: str | os.PathLike[str] | Task) -> Task:
    """Returns the row of a name, or the task of a file; a task stays as it is.

    The task of ``minari:ID`` is told from that dataset, as ``experiments.dataset
    describe`` tells it.

    Raises:
      UserError: the name is not in the table; the message lists the nearest names. Or
        the file holds no task, or a task of one's own has a name of the table, or a
        suite.
    """
    if isinstance(task, str) and task in table():
        return table()[task]
    if isinstance(task, Task):
        return _with_own_name(task)
    name = os.fspath(task)
    if task_file.is_path(name):
        return _with_own_name(task_file.read_task(name))
    if name.startswith(_MINARI) and name != _MINARI:
        return _with_own_name(_told(name.removeprefix(_MINARI)))
    near = difflib.get_close_matches(name, table(), n=3, cutoff=0.0)
    raise errors.UserError(
        f"unknown --env={name!r}; did you mean one of {', '.join(near)}? A task of "
        "your own is a file, --env=FILE.toml"
    )


def of_table(name: str) -> Task:
    """The row of a name, for what tasks of one's own lack: a recipe, a known scale.

    Raises:
      UserError: the name is not in the table.
    """
    if name not in table() and (task_file.is_path(name) or name.startswith(_MINARI)):
        raise errors.UserError(
            f"{name} is a task of your own, and here only names of the table can be "
            "measured; name one, such as hopper-medium-v2"
        )
    return get(name)


@functools.cache  # since all actions of the dataset are read
def _told(dataset_id: str) -> Task:
    from gem_jax.data import description  # which reads data, and so knows this table

    return description.to_task(description.of_minari(dataset_id))


def of_run(record: Mapping[str, Any]) -> Task:
    """The task of a run folder; that of a task of one's own is in its record.

    Args:
      record: content of ``config.json``.

    Raises:
      UserError: the table has no such name, or the record is damaged.
    """
    if "task" not in record:
        return get(record["env"])
    return task_file.from_fields(record["task"], "config.json")


def _with_own_name(task: Task) -> Task:
    if task.suite == OWN and task.name in table():
        raise errors.UserError(
            f"name = {task.name!r} is another task's, of the table; choose another name"
        )
    if task.suite != OWN and task != table().get(task.name):
        raise errors.UserError(
            f"suite = {task.suite!r}: only tasks of the table have one, and this "
            f"{task.name} is none of them; leave it out, or of a changed row give "
            f"suite={OWN!r} and another name"
        )
    return task


@functools.cache
def table() -> Mapping[str, Task]:
    """All tasks by name, in the order of the published tables."""
    rows = [*_locomotion(), *_antmaze(), *_maze2d(), _navigation(), *ogbench.rows()]
    return {task.name: task for task in rows}


_MILLION = 1_000_000
# Observation size, action size, return of D4RL's random and reference policies.
_LOCOMOTION = {
    "halfcheetah": ("HalfCheetah-v4", 17, 6, -280.178953, 12135.0),
    "hopper": ("Hopper-v4", 11, 3, -20.272305, 3234.3),
    "walker2d": ("Walker2d-v4", 17, 6, 1.629008, 4592.3),
}
# As the implementation whose IQL results are the published ones: rewards as they are,
# but for these two sets.
_NORMALIZED_RETURNS = ("hopper-medium-v2", "hopper-medium-replay-v2")
# D4RL's replay sets are as long as training took to reach the medium policy.
_LOCOMOTION_SETS = {
    "random": {},
    "medium": {},
    "medium-replay": {"halfcheetah": 202_000, "hopper": 402_000, "walker2d": 302_000},
    "medium-expert": dict.fromkeys(_LOCOMOTION, 2 * _MILLION),
    "full-replay": {},
    "expert": {},
}
_ANTMAZE_SETS = {
    ("umaze", ""): 700,
    ("umaze", "diverse"): 700,
    ("medium", "play"): 1000,
    ("medium", "diverse"): 1000,
    ("large", "play"): 1000,
    ("large", "diverse"): 1000,
}
# Velocities are clipped to 10 in walker2d; hopper's step is short.
_LOCOMOTION_MOTION = {
    "halfcheetah": Motion((0, 8), (9, 17), 0.05, 1.5),
    "hopper": Motion((0, 5), (6, 11), 0.008, 0.3),
    "walker2d": Motion((0, 8), (9, 17), 0.008, 0.7),
}
_ANT_MOTION = Motion((0, 2), (15, 17), 0.1, 1.0)
_POINT_MOTION = Motion((0, 2), (2, 4), 0.01, 0.1)
# Time limit, return of D4RL's random and reference policies.
_MAZE2D = {
    "umaze": (300, 23.85, 161.86),
    "medium": (600, 13.13, 277.39),
    "large": (800, 6.7, 273.99),
}


def _locomotion() -> Iterator[Task]:
    for robot, (env_id, observations, actions, low, high) in _LOCOMOTION.items():
        for quality, sizes in _LOCOMOTION_SETS.items():
            name = f"{robot}-{quality}-v2"
            yield Task(
                name=name,
                suite="locomotion",
                world=robot,
                variant=quality,
                env_id=env_id,
                observation_size=observations,
                action_size=actions,
                motion=_LOCOMOTION_MOTION[robot],
                num_transitions=sizes.get(robot, _MILLION),
                horizon=1000,
                min_score=low,
                max_score=high,
                reward_transform=(
                    "return_range" if name in _NORMALIZED_RETURNS else "identity"
                ),
                original=_original_files()[name],
                recipe="locomotion",
            )


def _antmaze() -> Iterator[Task]:
    for (maze, variant), horizon in _ANTMAZE_SETS.items():
        layout = f"{maze}-{variant}" if variant else maze
        name = f"antmaze-{layout}-v2"
        yield Task(
            name=name,
            suite="antmaze",
            world=maze,
            variant=variant,
            env_id=f"gem_jax/AntMaze-{maze}-v0",
            observation_size=29,
            action_size=8,
            motion=_ANT_MOTION,
            num_transitions=_MILLION,
            horizon=horizon,
            min_score=0.0,
            max_score=1.0,
            reward_transform="minus_one",
            original=_original_files()[name],
            recipe="ant_maze",
        )


def _maze2d() -> Iterator[Task]:
    for maze, (horizon, low, high) in _MAZE2D.items():
        name = f"maze2d-{maze}-v1"
        yield Task(
            name=name,
            suite="maze2d",
            world=maze,
            variant="",
            env_id=f"gem_jax/Maze2D-{maze}-v0",
            observation_size=4,
            action_size=2,
            motion=_POINT_MOTION,
            num_transitions=_MILLION,
            horizon=horizon,
            min_score=low,
            max_score=high,
            reward_transform="identity",
            original=_original_files()[name],
            recipe="maze2d",
        )


def _navigation() -> Task:
    """EMPO's didactic task; its paper gives returns and no normalized scores.

    Here 0 is the return of an episode that never gets anywhere, and 100 that of the
    best way that the two behaviors can be stitched to, without noise.
    """
    return Task(
        name="navigation-v0",
        suite="navigation",
        world="square",
        variant="",
        env_id="gem_jax/Navigation-v0",
        observation_size=2,
        action_size=2,
        motion=None,
        num_transitions=2 * _MILLION,
        horizon=1000,
        min_score=-1000.0,
        max_score=-299.0,
        reward_transform="identity",
        original=None,
        recipe="navigation",
    )


@functools.cache
def _original_files() -> Mapping[str, OriginalFile]:
    text = resources.files("gem_jax.data").joinpath("original_files.csv").read_text()
    return {
        row["dataset"]: OriginalFile(
            path=row["path_under_datasets_offline_rl"],
            num_bytes=int(row["bytes"]) if row["bytes"] else None,
            sha256=row["sha256"] or None,
        )
        for row in csv.DictReader(text.splitlines())
    }
