"""Reads D4RL's layout, with the meaning that D4RL gives it.

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
from collections.abc import Callable, Mapping

import h5py
import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, layouts, successors, tasks
from gem_jax.data.readers import columns

REQUIRED = ("observations", "actions", "rewards", "terminals")
OPTIONAL = ("next_observations", "timeouts", "infos/policy")

Log = Callable[[str], None]


def read(
    path: pathlib.Path,
    task: tasks.Task | None = None,
    log: Log = print,
    limit: int | None = None,
) -> tuple[list[episodes.Episode], str]:
    """Reads one HDF5 file.

    Args:
      path: the HDF5 file.
      task: see ``from_columns``.
      log: takes a line for each contradiction in the file.
      limit: of the transitions, how many of the leading ones are needed.

    Returns:
      The episodes in order, some perhaps empty, and the SHA-256 of the file.

    Raises:
      UserError: absent, damaged or in another layout; arrays missing or of odd shapes;
        too large for this machine.
    """
    with files.open_hdf5(path) as file:
        layouts.check_d4rl(file, path, REQUIRED)
        names = [key for key in (*REQUIRED, *OPTIONAL) if key in file]
        found = {name: _array(file, name, path) for name in names}
        return from_columns(found, path, task, log, limit), files.file_sha256(path)


def _array(file: h5py.File, key: str, path: pathlib.Path) -> h5py.Dataset:
    dataset = file[key]
    if not isinstance(dataset, h5py.Dataset) or not dataset.shape:
        raise errors.UserError(f"{path}: {key!r} is no array; store one row a step")
    return dataset


def from_columns(
    found: Mapping[str, columns.Column],
    path: pathlib.Path,
    task: tasks.Task | None,
    log: Log,
    limit: int | None,
) -> list[episodes.Episode]:
    """The episodes of arrays under D4RL's names, whatever file holds them.

    A termination ends an episode, but for AntMaze, whose rewards and terminations were
    relabeled afterwards and stand in mid-trajectory. Without a single time-out in the
    file the task's horizon cuts. ``infos/policy`` `[N]` labels the policy that acted.

    Args:
      found: those of ``REQUIRED``, and what is there of ``OPTIONAL``.
      path: of the file, for messages.
      task: says which task these are data of; without one no horizon cuts.
      log: takes a line for each contradiction.
      limit: of the transitions, how many of the leading ones are needed.

    Raises:
      UserError: odd arrays; too large for this machine.
    """
    columns.check(found, path)
    marked = {
        name: columns.flags(found[name], f"{path}: {name!r}")
        for name in ("terminals", "timeouts")
        if name in found
    }
    timed = "timeouts" in marked and bool(marked["timeouts"].any())
    horizon = task.horizon if task else None
    rows = None
    if limit is not None:
        rows = _rows_needed(limit, marked["timeouts"] if timed else None, horizon)
    columns.require_room(found, path, rows)
    arrays = {name: array[:rows] for name, array in marked.items()}
    for name in found.keys() - marked.keys() - {"infos/policy"}:
        arrays[name] = columns.floats(found[name], rows)
    if "infos/policy" in found:
        arrays["infos/policy"] = found["infos/policy"][:rows]
    names = ("observations", "next_observations")
    stored = [found[name].dtype for name in names if name in found]
    breaks = _breaks(arrays, successors.precision(*stored))

    def warn(line: str) -> None:
        log(f"warning: {path}: {line}")

    return _cut(arrays, breaks, task, timed, warn)


def _rows_needed(limit: int, timeouts: np.ndarray | None, horizon: int | None) -> int:
    """The leading rows that hold ``limit`` transitions, or some more.

    Rows of time-outs are no transitions, and the last one lacks its successor.
    """
    if timeouts is not None:
        return int(np.searchsorted(np.cumsum(~timeouts), limit)) + 2
    dropped = limit // max(1, horizon - 1) if horizon else 0  # one a horizon at most
    return limit + dropped + 2


def _cut(
    arrays: dict[str, np.ndarray],
    breaks: np.ndarray,
    task: tasks.Task | None,
    timed: bool,
    warn: Log,
) -> list[episodes.Episode]:
    terminals, last = arrays["terminals"], len(arrays["terminals"]) - 1
    relabeled = task is not None and task.suite == "antmaze"
    ends = breaks if relabeled else breaks | terminals
    timeouts = arrays["timeouts"] if timed else np.zeros_like(ends)
    if not timed and task is not None:  # the horizon must tell
        # But not where a step has its successor.
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
        episode = _episode(arrays, start, stop, i + 1 - stop, truncated=truncated)
        if breaks[i] and not timeouts[i]:
            episode = _ending(episode, arrays["next_observations"][i])
        recorded.append(episode)
        start = i + 1
    if start < last:
        recorded.append(_episode(arrays, start, last, 1, truncated=True))
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
    arrays: dict[str, np.ndarray],
    start: int,
    stop: int,
    left_out: int,
    *,
    truncated: bool,
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
        left_out=left_out,
    )


def _ending(episode: episodes.Episode, last: np.ndarray) -> episodes.Episode:
    """The episode with another last observation `[O]`; its own stays as it is."""
    observations = episode.observations.copy()  # a view of the file's rows
    observations[-1] = last
    return dataclasses.replace(episode, observations=observations)
