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
from gem_jax.data.readers import columns, numpy_archive

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
      log: unused; as for other readers.
      limit: of the transitions, how many of the leading ones are needed.

    Returns:
      The trajectories in order, and the SHA-256 of the file.

    Raises:
      UserError: absent, damaged or in another layout; OGBench not installed.
    """
    del log
    if not path.is_file():
        raise errors.UserError(f"{path}: no such file")
    if not zipfile.is_zipfile(path):
        size = path.stat().st_size
        raise errors.UserError(
            f"{path} ({size:,} bytes) is no whole .npz file; get it again, or name one "
            "in OGBench's layout"
        )
    with numpy_archive.members(path, _STATES) as found:
        arrays = _read_arrays(found, path, limit)
        sha256 = files.file_sha256(path)
    return _label(_cut(arrays), task, str(path)), sha256


def _read_arrays(
    found: Mapping[str, numpy_archive.Member], path: pathlib.Path, limit: int | None
) -> dict[str, np.ndarray]:
    """As many rows as the limit needs, of arrays that can be cut side by side."""
    _require_arrays(found, path)
    side_by_side = {name: found[name] for name in _ARRAYS}
    columns.check(side_by_side, path)
    ends = columns.flags(found["terminals"], f"{path}: 'terminals'")
    if len(ends) < 2:
        raise errors.UserError(f"{path} holds no transitions; choose another dataset")
    needed = numpy_archive.rows_needed(ends, limit, compact=True)
    columns.require_room(side_by_side, path, needed)
    return {n: found[n][:needed] for n in (*_ARRAYS, *_STATES) if n in found}


def with_rewards(
    recorded: Sequence[episodes.Episode], dataset_id: str, task: tasks.Task
) -> list[episodes.Episode]:
    """The episodes of a Minari dataset with the rewards of ``task``.

    Raises:
      UserError: the dataset does not hold what tells whether a task is solved.
    """
    path = minari.data_folder(dataset_id) / minari.DATA_FILE
    labeled = []
    with files.open_hdf5(path) as file:
        for index, episode in enumerate(recorded):
            infos = file.get(f"episode_{index}/infos", {})
            if "qpos" not in infos:
                raise errors.UserError(
                    f"{dataset_id} has no infos/qpos, which the rewards of {task.name} "
                    "are made from; use --source=local"
                )
            states = {name: infos[name][()] for name in _STATES if name in infos}
            labeled.append(
                dataclasses.replace(episode, infos={**episode.infos, **states})
            )
    return _label(labeled, task, dataset_id)


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


def _cut(arrays: Mapping[str, np.ndarray]) -> list[episodes.Episode]:
    """Episodes without rewards; a last row without its mark ends one too."""
    stops = np.flatnonzero(arrays["terminals"][:-1]) + 1
    pieces = {
        name: np.split(arrays[name], stops)
        for name in (*_ARRAYS[:2], *_STATES)
        if name in arrays
    }
    return [
        episodes.Episode(
            observations=observations.astype(np.float32, copy=False),
            actions=pieces["actions"][i][:-1].astype(np.float32, copy=False),
            rewards=np.zeros(len(observations) - 1, np.float32),
            terminations=np.zeros(len(observations) - 1, bool),
            truncations=np.arange(len(observations) - 1) == len(observations) - 2,
            infos={name: pieces[name][i] for name in _STATES if name in pieces},
        )
        for i, observations in enumerate(pieces["observations"])
    ]


def _label(
    recorded: Sequence[episodes.Episode], task: tasks.Task, where: str
) -> list[episodes.Episode]:
    """OGBench's own rule for rewards, on the states that actions leave."""
    names = list(recorded[0].infos)
    dataset = {
        name: np.concatenate([e.infos[name][: len(e)] for e in recorded])
        for name in names
        if name in _STATES
    }
    from gem_jax import envs
    from gem_jax.envs import ogbench

    assert task.env_id is not None  # of OGBench's tasks none is without
    env = envs.make(task.env_id)
    what = f"{where}: its states are not those of {task.world}"
    # The rule resets, to have the goal.
    with files.refusing_damage(what), ogbench.global_draws(0):
        ogbench.component("relabel_utils", "relabel_dataset")(task.world, env, dataset)
    env.close()
    stops = np.cumsum([len(e) for e in recorded])[:-1]
    return [
        dataclasses.replace(
            episode,
            rewards=rewards,
            terminations=masks == 0.0,
            infos={k: v for k, v in episode.infos.items() if k not in _STATES},
        )
        for episode, rewards, masks in zip(
            recorded,
            np.split(dataset["rewards"], stops),
            np.split(dataset["masks"], stops),
            strict=True,
        )
    ]
