"""Reads OGBench's files, and gives trajectories the rewards of one task.

A trajectory of T transitions has T + 1 rows, the last of which is a state alone. A
reward, and whether the task ended, belong to the state that an action leaves, not to
the one that it leads to, as in OGBench's environments of single tasks since 1.2.0. No
trajectory stops where a task is solved.
"""

from __future__ import annotations

import dataclasses
import pathlib
import zipfile
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, minari, tasks
from gem_jax.data.ogbench import SUITE, dataset
from gem_jax.data.readers import numpy_archive

_ARRAYS = ("observations", "actions", "terminals")
_STATES = ("qpos", "button_states")  # what tells whether a task is solved


def require() -> None:
    """Sees to it that OGBench is there.

    Raises:
      UserError: it is not.
    """
    from gem_jax.envs import ogbench  # simulators, which loading a policy does without

    ogbench.version()


def as_recorded(task: tasks.Task) -> tasks.Task:
    """The task as the name of its data, which all tasks of a world share.

    Tasks of other suites have data of their own.
    """
    if task.suite != SUITE:
        return task
    return dataclasses.replace(task, name=dataset(task))


def read(
    path: pathlib.Path,
    task: tasks.Task,
    log: Callable[[str], None] = print,
    limit: int | None = None,
) -> tuple[list[episodes.Episode], str]:
    """Reads one of OGBench's ``.npz`` files.

    Args:
      path: the file.
      task: whose rewards the trajectories get.
      log: takes a line for each contradiction in the file.
      limit: of the transitions, how many of the leading ones are needed.

    Returns:
      The trajectories in order, and the SHA-256 of the file.

    Raises:
      UserError: absent, damaged or in another layout; OGBench not installed.
    """
    if not path.is_file():
        raise errors.UserError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise errors.UserError(
            f"{path} ({size:,} bytes) is no whole .npz file; get it again, or name one "
            "in OGBench's layout"
        )
    with numpy_archive.members(path, _STATES) as found:
        _require_arrays(found, path)
        arrays = numpy_archive.ogbench_arrays(found, path, limit, _STATES)
    states = {name: arrays[name] for name in _STATES if name in arrays}
    arrays["rewards"], arrays["masks"] = _label(states, task, str(path))
    recorded = numpy_archive.ogbench_episodes(arrays, path, log)
    return recorded, files.file_sha256(path)


def with_rewards(
    recorded: Sequence[episodes.Episode], dataset_id: str, task: tasks.Task
) -> list[episodes.Episode]:
    """The episodes of a Minari dataset with the rewards of ``task``.

    Raises:
      UserError: the dataset does not hold what tells whether a task is solved.
    """
    states: dict[str, list[np.ndarray]] = {name: [] for name in _STATES}
    path = minari.data_folder(dataset_id) / minari.DATA_FILE
    with files.open_hdf5(path) as file:
        for index, episode in enumerate(recorded):
            infos = file.get(f"episode_{index}/infos", {})
            if "qpos" not in infos:
                raise errors.UserError(
                    f"{dataset_id} has no infos/qpos, which the rewards of {task.name} "
                    "are made from; use --source=local"
                )
            for name in _STATES:
                if name in infos:
                    states[name].append(infos[name][: len(episode)])
    joined = {name: np.concatenate(parts) for name, parts in states.items() if parts}
    rewards, masks = _label(joined, task, dataset_id)
    stops = np.cumsum([len(e) for e in recorded])[:-1]
    pieces = zip(
        recorded, np.split(rewards, stops), np.split(masks, stops), strict=True
    )
    return [
        dataclasses.replace(episode, rewards=rewards, terminations=masks == 0.0)
        for episode, rewards, masks in pieces
    ]


def _require_arrays(
    arrays: Mapping[str, numpy_archive.Member], path: pathlib.Path
) -> None:
    missing = [name for name in (*_ARRAYS, "qpos") if name not in arrays]
    if missing:
        raise errors.UserError(
            f"{path} has no array {missing[0]!r} but {', '.join(sorted(arrays))}; it "
            "is not in OGBench's layout"
        )
    used = [name for name in (*_ARRAYS, *_STATES) if name in arrays]
    lengths = {name: (arrays[name].shape or (0,))[0] for name in used}
    if len(set(lengths.values())) > 1:
        raise errors.UserError(f"{path}: arrays differ in length: {lengths}")


def _label(
    states: Mapping[str, np.ndarray], task: tasks.Task, where: str
) -> tuple[np.ndarray, np.ndarray]:
    """OGBench's own rule: rewards `[N]`, and masks that are 0 where the task is solved.

    Args:
      states: arrays `[N, ...]` of the names in ``_STATES``, of states that actions
        leave.
      task: one of OGBench's.
      where: the states come from, for messages.
    """
    from gem_jax import envs
    from gem_jax.envs import ogbench

    assert task.env_id is not None  # of OGBench's tasks none is without
    env = envs.make(task.env_id)
    dataset = dict(states)
    what = f"{where}: its states are not those of {task.world}"
    # The rule resets, to have the goal.
    with files.refusing_damage(what), ogbench.global_draws(0):
        ogbench.component("relabel_utils", "relabel_dataset")(task.world, env, dataset)
    env.close()
    return dataset["rewards"], dataset["masks"]
