"""Reads Minari datasets with h5py alone, believing nothing that they say.

Minari's own loader accepts damaged files and builds environments that the metadata
name; this reader checks ids, hashes and shapes, and reads arrays only.
"""

from __future__ import annotations

import json
import os
import pathlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

import h5py
import numpy as np

from gem_jax import errors
from gem_jax.data import (
    episodes,
    files,
    layouts,
    minari_arrays,
    ports,
    room,
    spaces,
    tasks,
)
from gem_jax.data.readers import columns

DATA_FILE = "main_data.hdf5"
METADATA_FILE = "metadata.json"
SEAL_FILE = "gem_jax.json"  # ours: the hash of the data file and the recipe

_PART = r"[A-Za-z0-9_][A-Za-z0-9_-]*"
_ID = re.compile(rf"(?:{_PART}/)*{_PART}-v\d+")


def root() -> pathlib.Path:
    """Minari's folder: ``MINARI_DATASETS_PATH`` or ``~/.minari/datasets``."""
    default = pathlib.Path.home() / ".minari" / "datasets"
    chosen = os.environ.get("MINARI_DATASETS_PATH")
    return pathlib.Path(chosen).expanduser() if chosen else default


def data_folder(dataset_id: str) -> pathlib.Path:
    """Where Minari keeps the files of ``dataset_id``.

    Raises:
      UserError: no valid id, for example one that leads out of Minari's folder.
    """
    if not _ID.fullmatch(dataset_id):
        raise errors.UserError(
            f"{dataset_id!r} is no Minari id; ids look like namespace/name-v0"
        )
    return root() / dataset_id / "data"


def environment(dataset_id: str) -> str | None:
    """Gymnasium id of the environment that a dataset was made in; None if it says none.

    Raises:
      UserError: bad id, or metadata unreadable.
    """
    spec = environment_spec(files.read_json(data_folder(dataset_id) / METADATA_FILE))
    return str(spec["id"]) if "id" in spec else None


def environment_spec(metadata: Mapping[str, Any]) -> Mapping[str, Any]:
    """What metadata say of the environment, as text and numbers; empty if nothing.

    Nothing of it may be run: it names code by ``entry_point``.
    """
    try:
        spec = json.loads(str(metadata.get("env_spec")))
    except (ValueError, RecursionError):
        return {}
    return spec if isinstance(spec, dict) else {}


def read(
    dataset_id: str, task: tasks.Task | None = None, limit: int | None = None
) -> tuple[list[episodes.Episode], str]:
    """Reads a local Minari dataset of flat observations, or of a Dict of such.

    Args:
      dataset_id: such as ``"mujoco/hopper/medium-v0"``.
      task: the task that it is to serve, whose ``observation_keys`` choose among the
        parts of a Dict.
      limit: of the transitions, how many of the leading ones are needed.

    Returns:
      The episodes in order, and the SHA-256 of the data file.

    Raises:
      UserError: bad id; dataset absent, incomplete or damaged; of a layout that is not
        read, such as Dict observations that hold each episode's own goal where no keys
        are named; too large for this machine.
    """
    path, metadata = _find(dataset_id)
    with files.refusing_damage(f"{path} cannot be read"):
        sha256 = files.file_sha256(path)
    _check_seal(path.parent, sha256)
    return _read_checked(path, metadata, task, limit), sha256


def skim(dataset_id: str) -> Iterator[tuple[int, np.ndarray]]:
    """Of each episode the size of an observation, and the actions `[T, A]`.

    Observations and rewards are not read, nor is the hash compared.

    Raises:
      UserError: as ``read``, but for what does not fit in memory.
    """
    path, metadata = _find(dataset_id)
    _check_metadata(metadata, None, path)
    with files.open_hdf5(path) as file:
        layouts.check_minari(file, path)
        _, (size, _) = _outline(file, metadata, None, path)
        for index in range(len(file)):
            with files.refusing_damage(f"{path}: episode_{index} is damaged"):
                group = h5py.h5g.open(file.id, b"episode_%d" % index)
                actions = minari_arrays.read(group, b"actions", np.float32)
            yield size, actions


def _find(dataset_id: str) -> tuple[pathlib.Path, Mapping[str, Any]]:
    """The data file and the metadata of a dataset that is there."""
    folder = data_folder(dataset_id)
    ports.refuse(dataset_id)
    path = folder / DATA_FILE
    if not path.is_file() or not (folder / METADATA_FILE).is_file():
        raise errors.UserError(
            f"no Minari dataset {dataset_id} in {root()}; get it with `python -m "
            f"experiments.dataset download --source=minari:{dataset_id}` or `minari "
            f"download {dataset_id}`, or use --source=auto"
        )
    metadata = files.read_json(folder / METADATA_FILE)
    if metadata.get("data_format", "hdf5") != "hdf5":
        raise errors.UserError(
            f"{dataset_id} is stored as {metadata['data_format']!r}; only hdf5 is read"
        )
    return path, metadata


def read_file(
    path: pathlib.Path,
    task: tasks.Task | None,
    log: columns.Log,
    limit: int | None,
) -> tuple[list[episodes.Episode], str]:
    """Reads a data file of Minari's wherever it lies; see ``read``.

    Metadata count where they lie beside it.
    """
    del log
    beside = path.with_name(METADATA_FILE)
    metadata = files.read_json(beside) if beside.is_file() else None
    return _read_checked(path, metadata, task, limit), files.file_sha256(path)


def _read_checked(
    path: pathlib.Path,
    metadata: Mapping[str, Any] | None,
    task: tasks.Task | None,
    limit: int | None,
) -> list[episodes.Episode]:
    """The episodes, where they are as many as the metadata promise."""
    if metadata is None:
        return _read_episodes(path, {}, task, limit)
    _check_metadata(metadata, task, path)
    recorded = _read_episodes(path, metadata, task, limit)
    promised = metadata.get("total_episodes"), metadata.get("total_steps")
    held = len(recorded), sum(map(len, recorded))
    if limit is None and promised != held:
        raise errors.UserError(
            f"{path} holds {held[0]} episodes and {held[1]} steps but its metadata "
            f"promise {promised[0]} and {promised[1]}; get the dataset again"
        )
    return recorded


def _check_metadata(
    metadata: Mapping[str, Any], task: tasks.Task | None, path: pathlib.Path
) -> None:
    ports.refuse_unrewarded(metadata, task, str(path))
    for key in ("observation_space", "action_space"):
        spaces.parse(metadata, key, str(path))


def _check_seal(folder: pathlib.Path, sha256: str) -> None:
    """Compares with the hash that our own writer stored; others store none."""
    if not (folder / SEAL_FILE).is_file():
        return
    expected = files.read_json(folder / SEAL_FILE).get("sha256")
    if sha256 != expected:
        raise errors.UserError(
            f"{folder / DATA_FILE} is damaged: SHA-256 {sha256[:16]}, expected "
            f"{str(expected)[:16]}; delete the folder {folder.parent} and run again"
        )


def _read_episodes(
    path: pathlib.Path,
    metadata: Mapping[str, Any],
    task: tasks.Task | None,
    limit: int | None,
) -> list[episodes.Episode]:
    recorded: list[episodes.Episode] = []
    left = np.inf if limit is None else limit
    with files.open_hdf5(path) as file:
        layouts.check_minari(file, path)
        names, sizes = _outline(file, metadata, task, path)
        room.require(str(path), _count_steps(file, path, left), *sizes, limit)
        labeled = "episode_0/infos/policy" in file
        for index in range(len(file)):
            if left <= 0:
                break
            with files.refusing_damage(f"{path}: episode_{index} is damaged"):
                group = h5py.h5g.open(file.id, b"episode_%d" % index)
                recorded.append(_read_episode(group, names, labeled))
            left -= len(recorded[-1])
    return recorded


def _outline(
    file: h5py.File,
    metadata: Mapping[str, Any],
    task: tasks.Task | None,
    path: pathlib.Path,
) -> tuple[tuple[bytes, ...], tuple[int, int]]:
    """Where observations lie, and the sizes of one and of an action.

    By the first episode; nothing and 0 where there is none.

    Raises:
      UserError: that is damaged, or what is not learned from.
    """
    if not len(file):
        return (), (0, 0)
    space = spaces.parts(metadata, "observation_space")
    with files.refusing_damage(f"{path}: episode_0 is damaged"):
        group = h5py.h5g.open(file.id, b"episode_0")
        names = minari_arrays.parts(group, space, task, path)
        found = minari_arrays.sizes(file, names)
        if found is None:
            raise ValueError("no array")
    return names, found


def _count_steps(file: h5py.File, path: pathlib.Path, enough: float) -> int:
    """By the shapes of the arrays, whatever metadata say.

    Counts no further than what is needed: episodes beyond may be damaged.
    """
    steps = 0
    for index in range(len(file)):
        if steps >= enough:
            break
        with files.refusing_damage(f"{path}: episode_{index} is damaged"):
            (count, *_) = h5py.h5d.open(file.id, b"episode_%d/actions" % index).shape
            steps += count
    return steps


def _read_episode(
    group: h5py.h5g.GroupID, names: tuple[bytes, ...], labeled: bool
) -> episodes.Episode:
    infos: Mapping[str, np.ndarray] = {}
    if labeled and b"infos/policy" in group:
        infos = {"policy": minari_arrays.read(group, b"infos/policy", np.int32)}
    return episodes.Episode(
        observations=minari_arrays.read_joined(group, names),
        actions=minari_arrays.read(group, b"actions", np.float32),
        rewards=minari_arrays.read(group, b"rewards", np.float32),
        terminations=minari_arrays.read(group, b"terminations", np.int8) > 0,
        truncations=minari_arrays.read(group, b"truncations", np.int8) > 0,
        infos=infos,
    )
