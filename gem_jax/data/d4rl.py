"""Reads HDF5 files in D4RL's layout, with the meaning that D4RL gives them.

As in D4RL's ``qlearning_dataset``: the observation after step i is the one recorded
at i + 1; a step at which a time limit struck is dropped, its observation being the
last of the episode; terminal steps stay; the last recorded step is never used.
"""

from __future__ import annotations

import pathlib

import h5py
import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, minari, tasks

_REQUIRED = ("observations", "actions", "rewards", "terminals")
_ONE_PER_STEP = ("rewards", "terminals", "timeouts", "infos/policy")


def read(path: pathlib.Path, task: tasks.Task) -> tuple[list[episodes.Episode], str]:
    """Reads one file.

    A termination ends an episode, but for AntMaze, whose rewards and terminations were
    relabeled afterwards and stand in mid-trajectory. Without ``timeouts`` in the file
    the task's horizon cuts. ``infos/policy`` `[N]` labels the policy that acted.

    Args:
      path: the HDF5 file.
      task: says which task the file holds data of.

    Returns:
      The episodes in order, some perhaps empty, and the SHA-256 of the file.

    Raises:
      UserError: absent, damaged or no HDF5 file; arrays missing or of odd shapes.
    """
    with minari.open_hdf5(path) as file:
        arrays = {key: _read(file, key, path) for key in _REQUIRED}
        for key in ("timeouts", "infos/policy"):
            if key in file:
                arrays[key] = _read(file, key, path)
        sha256 = minari.file_sha256(path)
    lengths = {key: len(array) for key, array in arrays.items()}
    if len(set(lengths.values())) > 1:
        raise errors.UserError(
            f"{path}: arrays differ in length: {lengths}; cut them to one length"
        )
    return _cut(arrays, task), sha256


def _read(file: h5py.File, key: str, path: pathlib.Path) -> np.ndarray:
    dataset = file.get(key)
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        raise errors.UserError(
            f"{path} has no array {key!r}; D4RL's layout needs {', '.join(_REQUIRED)}"
        )
    if dataset.dtype.kind not in "fiub":
        raise errors.UserError(
            f"{path}: {key!r} holds {dataset.dtype}, not numbers; convert it"
        )
    if key in _ONE_PER_STEP and dataset.ndim != 1:  # would broadcast to N x N
        raise errors.UserError(
            f"{path}: {key!r} has shape {dataset.shape}; flatten it to one value a step"
        )
    array = dataset[()]
    if key in ("terminals", "timeouts"):
        return array > 0  # some files store floats
    if key == "infos/policy":
        return array
    with np.errstate(over="ignore"):  # an infinity is refused later, with its step
        return array.astype(np.float32, copy=False)


def _cut(arrays: dict[str, np.ndarray], task: tasks.Task) -> list[episodes.Episode]:
    terminals = arrays["terminals"]
    ends = terminals.copy() if task.suite != "antmaze" else np.zeros_like(terminals)
    timeouts = arrays.get("timeouts")
    if timeouts is None:
        timeouts = _horizon_timeouts(ends, task.horizon)
    found, start, last = [], 0, len(terminals) - 1
    for i in np.flatnonzero(ends | timeouts).tolist():
        if i >= last:
            break
        stop = i if timeouts[i] else i + 1
        found.append(_episode(arrays, start, stop, truncated=bool(timeouts[i])))
        start = i + 1
    if start < last:
        found.append(_episode(arrays, start, last, truncated=True))
    return found


def _horizon_timeouts(ends: np.ndarray, horizon: int) -> np.ndarray:
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
