"""Writes Minari's layout with h5py: quick, and the same bytes for the same data.

Minari's own writer takes minutes for ten thousand episodes. What is written here is
read by ``minari.load_dataset``; a test proves it.
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Iterable, Mapping
from typing import Any

import h5py
import numpy as np

from gem_jax.data import episodes, files, minari, publishers, tasks

_BLOCK_SIZE = 1 << 24  # bytes by which the file in memory grows
_MINARI_VERSION = "0.5.0"  # of the format, not of what is installed

# Stored types, made once: making one costs more than writing a short array.
_CREATION = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
_CREATION.set_obj_track_times(False)
_SCALAR = h5py.h5s.create(h5py.h5s.SCALAR)


def write_episodes(
    path: pathlib.Path, batches: Iterable[list[episodes.Episode]]
) -> tuple[int, int]:
    """Writes episodes in order to a new HDF5 file.

    The file is put together in memory, where it needs no more room than the data have
    when they are loaded: HDF5 does not survive a disk that fills up under it.

    Returns:
      The number of episodes and of transitions.

    Raises:
      OSError: the disk is full, for example.
    """
    num_episodes = num_transitions = 0
    with h5py.File(
        path, "w", driver="core", backing_store=False, block_size=_BLOCK_SIZE
    ) as file:
        for batch in batches:
            for episode in batch:
                _write_episode(file.id, num_episodes, episode)
                num_episodes += 1
                num_transitions += len(episode)
        file.flush()
        path.write_bytes(file.id.get_file_image())
    return num_episodes, num_transitions


def write_metadata(
    folder: pathlib.Path,
    dataset_id: str,
    task: tasks.Task,
    counts: tuple[int, int],
    recipe: Mapping[str, Any],
) -> None:
    """Writes Minari's metadata, and our seal with the hash of the data file.

    Args:
      folder: holds the data file; the two JSON files come beside it.
      dataset_id: Minari's id.
      task: fixes the two spaces.
      counts: episodes and transitions, as ``write_episodes`` returned them.
      recipe: how the data were made.
    """
    data_path = folder / minari.DATA_FILE
    metadata = {
        "dataset_id": dataset_id,
        "data_format": "hdf5",
        "minari_version": _MINARI_VERSION,
        "jpeg_encoding": False,
        "total_episodes": counts[0],
        "total_steps": counts[1],
        "dataset_size": round(data_path.stat().st_size / 1e6, 1),  # megabytes
        "observation_space": _box(task.observation_size, np.inf),
        "action_space": _box(task.action_size, 1.0),
        "algorithm_name": recipe["name"],
        "description": _describe(task),
        "recipe": dict(recipe),
    }
    seal = {"recipe": dict(recipe), "sha256": files.file_sha256(data_path)}
    _write_json(folder / minari.METADATA_FILE, metadata)
    _write_json(folder / minari.SEAL_FILE, seal)


def _describe(task: tasks.Task) -> str:
    if task.original is None:
        return f"{task.name}, made on this machine by the recipe of its paper."
    title = publishers.PUBLISHERS[task.original.publisher].title
    return (
        f"{task.name}, made on this machine by {title}'s recipe. This is not {title}'s "
        "own data."
    )


def write_namespaces(dataset_id: str) -> None:
    """Makes the folders above the dataset known to Minari as namespaces."""
    folder = minari.root()
    for part in dataset_id.split("/")[:-1]:
        folder = folder / part
        folder.mkdir(parents=True, exist_ok=True)
        marker = folder / "namespace_metadata.json"
        if not marker.exists():
            _write_json(marker, {})


def _write_episode(
    file: h5py.h5f.FileID, index: int, episode: episodes.Episode
) -> None:
    group = h5py.h5g.create(file, b"episode_%d" % index)
    _write_attribute(group, b"id", index)
    _write_attribute(group, b"total_steps", len(episode))
    _write_array(group, b"observations", episode.observations)
    _write_array(group, b"actions", episode.actions)
    _write_array(group, b"rewards", episode.rewards)
    _write_array(group, b"terminations", episode.terminations)
    _write_array(group, b"truncations", episode.truncations)
    if episode.infos:
        infos = h5py.h5g.create(group, b"infos")
        for name, array in sorted(episode.infos.items()):
            _write_array(infos, name.encode(), array)


def _write_array(group: h5py.h5g.GroupID, name: bytes, array: np.ndarray) -> None:
    array = np.ascontiguousarray(array)
    stored = h5py.h5t.py_create(array.dtype, logical=True)
    space = h5py.h5s.create_simple(array.shape)
    dataset = h5py.h5d.create(group, name, stored, space, _CREATION)
    dataset.write(h5py.h5s.ALL, h5py.h5s.ALL, array, stored)


def _write_attribute(group: h5py.h5g.GroupID, name: bytes, value: int) -> None:
    kind = h5py.h5t.STD_I64LE
    h5py.h5a.create(group, name, kind, _SCALAR).write(np.array(value, "<i8"))


def _box(size: int, bound: float) -> str:
    """A gymnasium Box, as Minari writes it: a JSON string inside the JSON."""
    box = {"type": "Box", "dtype": "float32", "shape": [size]}
    return json.dumps({**box, "low": [-bound] * size, "high": [bound] * size})


def _write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    path.write_text(json.dumps(content, indent=2) + "\n")
