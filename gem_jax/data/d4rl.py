"""Reads HDF5 files in D4RL's layout, with the meaning that D4RL gives them.

As in D4RL's ``qlearning_dataset``: the observation after step i is the one recorded
at i + 1; a step at which a time limit struck is dropped, its observation being the
last of the episode; terminal steps stay; the last recorded step is never used.

``qlearning_dataset`` passes over ``next_observations``. Here they decide: where they
are not the observation at i + 1, rounding aside, the trajectory ends, with the one that
they give. Where they are, and where a recorded time limit struck, nothing changes.
"""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable

import h5py
import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, layouts, successors, tasks

_REQUIRED = ("observations", "actions", "rewards", "terminals")
_OPTIONAL = ("next_observations", "timeouts", "infos/policy")
_ONE_PER_STEP = ("rewards", "terminals", "timeouts", "infos/policy")

Log = Callable[[str], None]


def read(
    path: pathlib.Path, task: tasks.Task, log: Log = print
) -> tuple[list[episodes.Episode], str]:
    """Reads one file.

    A termination ends an episode, but for AntMaze, whose rewards and terminations were
    relabeled afterwards and stand in mid-trajectory. Without a single time-out in the
    file the task's horizon cuts. ``infos/policy`` `[N]` labels the policy that acted.

    Args:
      path: the HDF5 file.
      task: says which task the file holds data of.
      log: takes a line for each contradiction in the file.

    Returns:
      The episodes in order, some perhaps empty, and the SHA-256 of the file.

    Raises:
      UserError: absent, damaged or in another layout; arrays missing or of odd shapes.
    """
    with files.open_hdf5(path) as file:
        layouts.check_d4rl(file, path, _REQUIRED)
        optional = [key for key in _OPTIONAL if key in file]
        arrays = {key: _read(file, key, path) for key in (*_REQUIRED, *optional)}
        sha256 = files.file_sha256(path)
        names = ("observations", "next_observations")
        stored = [file[key].dtype for key in names if key in file]
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise errors.UserError(
            f"{path}: arrays differ in length: {lengths}; cut them to one length"
        )
    breaks = _breaks(arrays, successors.precision(*stored))
    recorded = _cut(arrays, breaks, task, lambda line: log(f"warning: {path}: {line}"))
    return recorded, sha256


def _read(file: h5py.File, key: str, path: pathlib.Path) -> np.ndarray:
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        raise errors.UserError(f"{path}: {key!r} is no array; store one row a step")
    if dataset.dtype.kind not in "fiub":
        raise errors.UserError(
            f"{path}: {key!r} holds {dataset.dtype}, not numbers; convert it"
        )
    if key in _ONE_PER_STEP and dataset.ndim != 1:  # would broadcast to N x N
        raise errors.UserError(
            f"{path}: {key!r} has shape {dataset.shape}; flatten it to one value a step"
        )
    if key == "next_observations" and dataset.shape != file["observations"].shape:
        raise errors.UserError(
            f"{path}: {key!r} has shape {dataset.shape}, 'observations' "
            f"{file['observations'].shape}; make them alike, or remove {key!r}"
        )
    array = dataset[()]
    if key in ("terminals", "timeouts"):
        return _flags(array, f"{path}: {key!r}")
    if key == "infos/policy":
        return array
    with np.errstate(over="ignore"):  # an infinity is refused later, with its step
        return array.astype(np.float32, copy=False)


def _flags(array: np.ndarray, where: str) -> np.ndarray:
    """`[N]` bool; some files store floats."""
    flags = array == 1
    other = np.flatnonzero(~flags & (array != 0))
    if other.size:
        raise errors.UserError(
            f"{where} holds {array[other[0]]} at step {other[0]}; store 0 or 1"
        )
    return flags


def _cut(
    arrays: dict[str, np.ndarray], breaks: np.ndarray, task: tasks.Task, warn: Log
) -> list[episodes.Episode]:
    terminals, last = arrays["terminals"], len(arrays["terminals"]) - 1
    ends = breaks | terminals if task.suite != "antmaze" else breaks
    timeouts = arrays.get("timeouts", np.zeros_like(ends))
    if not timeouts.any():  # the horizon must tell, but where a step has its successor
        timeouts = _horizon_timeouts(ends, task.horizon) & ~breaks
        if timeouts[:-1].any():
            _warn_of_cuts(arrays, task, warn)
    open_breaks = np.count_nonzero(breaks & ~terminals & ~timeouts)
    if open_breaks:
        warn(
            f"after {open_breaks:,} of {last:,} steps the next row is not what "
            "next_observations says; that is used, and the trajectory ends there; in "
            "mid-episode that makes returns, and reward scales by them, those of parts"
        )
    recorded, start = [], 0
    for i in np.flatnonzero(ends | timeouts).tolist():
        if i >= last:
            break
        stop = i if timeouts[i] else i + 1
        truncated = bool(timeouts[i] or not terminals[i])
        episode = _episode(arrays, start, stop, truncated=truncated)
        if breaks[i] and not timeouts[i]:
            episode = _ending(episode, arrays["next_observations"][i])
        recorded.append(episode)
        start = i + 1
    if start < last:
        recorded.append(_episode(arrays, start, last, truncated=True))
    return recorded


def _breaks(arrays: dict[str, np.ndarray], precision: float) -> np.ndarray:
    """`[N]` bool: steps whose own next observation is not the next row."""
    observations, following = arrays["observations"], arrays.get("next_observations")
    breaks = np.zeros(len(observations), bool)
    if following is not None:
        breaks[:-1] = successors.differ(observations[1:], following[:-1], precision)
    return breaks


def _warn_of_cuts(arrays: dict[str, np.ndarray], task: tasks.Task, warn: Log) -> None:
    cut = f"cut every {task.horizon} steps, the task's horizon"
    if task.suite == "antmaze" or not arrays["terminals"].any():
        warn(f"no terminals or timeouts say where episodes end; {cut}")
    elif "timeouts" in arrays:
        warn(f"timeouts are all 0, yet episodes reach the horizon; {cut}")


def _horizon_timeouts(ends: np.ndarray, horizon: int) -> np.ndarray:
    """`[N]` bool. Where one long trajectory was meant that costs a step a horizon."""
    timeouts, step = np.zeros_like(ends), 0
    for i, end in enumerate(ends):
        step += 1
        timeouts[i] = step == horizon
        if end or timeouts[i]:
            step = 0
    return timeouts


def _episode(
    arrays: dict[str, np.ndarray], start: int, stop: int, *, truncated: bool
) -> episodes.Episode:
    truncations = np.zeros(stop - start, bool)
    truncations[-1:] = truncated
    policy = arrays.get("infos/policy")
    return episodes.Episode(
        observations=arrays["observations"][start : stop + 1],
        actions=arrays["actions"][start:stop],
        rewards=arrays["rewards"][start:stop],
        terminations=arrays["terminals"][start:stop],
        truncations=truncations,
        infos={} if policy is None else {"policy": policy[start:stop]},
    )


def _ending(episode: episodes.Episode, last: np.ndarray) -> episodes.Episode:
    """The episode with another last observation `[O]`; its own stays as it is."""
    observations = episode.observations.copy()  # a view of the file's rows
    observations[-1] = last
    return dataclasses.replace(episode, observations=observations)
