"""Reads robomimic's HDF5 files of low-dimensional observations.

A group ``data`` holds a group a demonstration, ``demo_0`` and so on, with ``actions``,
``rewards``, ``dones`` and a group ``obs`` of arrays, whose rows are joined in the order
of their names, or of the task's ``observation_keys``. Its ``next_obs``, where there,
has the successors; else the last step is left out. ``dones`` are terminations, which
may stand in mid-trajectory.
"""

from __future__ import annotations

import pathlib
import re

import h5py
import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, room, tasks
from gem_jax.data.readers import columns, rows

_DEMO = re.compile(r"demo_(\d+)")


def missing(file: h5py.File) -> str | None:
    """The first thing that a file lacks to be robomimic's; ``None`` if nothing."""
    if not isinstance(file.get("data"), h5py.Group):
        return "no group 'data'"
    names = demonstrations(file["data"])
    if not names:
        return "no group 'data/demo_0'"
    first = file["data"][names[0]]
    if not isinstance(first, h5py.Group):
        return f"no group 'data/{names[0]}'"
    for name, kind in (("obs", h5py.Group), ("actions", h5py.Dataset)):
        if not isinstance(first.get(name), kind):
            what = "group" if kind is h5py.Group else "array"
            return f"no {what} 'data/{names[0]}/{name}'"
    return None


def demonstrations(data: h5py.Group) -> list[str]:
    """Names of the demonstrations, in the order of their numbers."""
    names = [name for name in data if _DEMO.fullmatch(name)]
    return sorted(names, key=lambda name: int(name.removeprefix("demo_")))


def read(
    path: pathlib.Path,
    task: tasks.Task | None,
    log: columns.Log,
    limit: int | None,
) -> tuple[list[episodes.Episode], str]:
    """Reads one file, or its leading demonstrations.

    Args:
      path: the HDF5 file.
      task: whose ``observation_keys``, if any, are the parts of an observation.
      log: takes a line that names the parts of an observation.
      limit: of the transitions, how many of the leading ones are needed.

    Raises:
      UserError: damaged; image observations, discrete actions; arrays missing or of
        odd shapes, or none of a key; too large for this machine.
    """
    recorded: list[episodes.Episode] = []
    with files.open_hdf5(path) as file:
        data = file["data"]
        names = demonstrations(data)
        there = sorted(data[names[0]]["obs"])
        parts = _parts(there, task, path)
        for name in names:
            if not isinstance(data[name], h5py.Group):
                raise errors.UserError(f"{path}: data/{name} is no group; remove it")
            _check(data[name], there, f"{path}: data/{name}")
        sizes = [data[names[0]]["obs"][part].shape[1] for part in parts]
        listed = ", ".join(f"{p} ({n})" for p, n in zip(parts, sizes, strict=True))
        log(f"data: {path}: observations are {listed}")
        steps = sum(len(data[name]["actions"]) for name in names)
        action_size = data[names[0]]["actions"].shape[1]
        room.require(str(path), steps, sum(sizes), action_size, limit)
        left = np.inf if limit is None else limit
        for name in names:
            if left <= 0:
                break
            found = _read_one(data[name], parts, f"{path}: data/{name}", log)
            left -= sum(map(len, found))
            recorded += found
    return recorded, files.file_sha256(path)


def _parts(there: list[str], task: tasks.Task | None, path: pathlib.Path) -> list[str]:
    """Names of the arrays that make an observation, in the environment's order."""
    if task is None or not task.observation_keys:
        return there
    for key in task.observation_keys:
        if key not in there:
            raise errors.UserError(
                f"{path} has no observation {key!r}, which observation_keys of "
                f"{task.name} names; there are {', '.join(there)}"
            )
    return list(task.observation_keys)


def _check(demo: h5py.Group, there: list[str], where: str) -> None:
    """Refuses a demonstration whose arrays do not fit each other or the first's."""
    shapes = {}
    for name in ("rewards", "dones"):
        array = _array(demo, name, where)
        columns.check_numbers(array.dtype, f"{where}/{name}")
        shapes[name] = array.shape
    names = ["actions"]
    for group in [name for name in ("obs", "next_obs") if name in demo]:
        held = sorted(demo[group])
        if held != there:
            raise errors.UserError(
                f"{where}/{group} holds {', '.join(held)}, the first demonstration "
                f"{', '.join(there)}; make them alike"
            )
        names += [f"{group}/{part}" for part in there]
    for name in names:
        array = _array(demo, name, where)
        columns.check_rows(name, array.shape, array.dtype, f"{where}/{name}")
        shapes[name] = array.shape[:1]
    if len(set(shapes.values())) > 1:
        listed = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
        raise errors.UserError(f"{where}: arrays differ in length: {listed}")


def _array(demo: h5py.Group, name: str, where: str) -> h5py.Dataset:
    array = demo.get(name)
    if not isinstance(array, h5py.Dataset):
        raise errors.UserError(
            f"{where} has no array {name!r}; robomimic's dataset_states_to_obs.py "
            "writes it"
        )
    return array


def _read_one(
    demo: h5py.Group, parts: list[str], where: str, log: columns.Log
) -> list[episodes.Episode]:
    def joined(group: str) -> np.ndarray:
        arrays = [columns.floats(demo[group][part]) for part in parts]
        return np.concatenate(arrays, axis=1)

    steps = len(demo["actions"])
    return rows.to_episodes(
        rows.Rows(
            observation=joined("obs"),
            action=columns.floats(demo["actions"]),
            reward=columns.floats(demo["rewards"]),
            terminal=columns.flags(demo["dones"], f"{where}/dones"),
            end=np.arange(steps) == steps - 1,
            next_observation=joined("next_obs") if "next_obs" in demo else None,
        ),
        lambda line: log(f"warning: {where}: {line}"),
    )
