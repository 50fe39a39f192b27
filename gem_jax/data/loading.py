"""Turns a task's name and a source into arrays, and says where they came from."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from gem_jax import errors
from gem_jax.data import (
    d4rl,
    download,
    episodes,
    minari,
    tasks,
    transforms,
    transitions,
    validate,
)
from gem_jax.data.local import generate

if TYPE_CHECKING:
    from gem_jax import types

Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What a dataset is and where it came from; belongs to every result.

    Attributes:
      env: name of the task.
      source: what the source became: ``"d4rl"``, ``"minari"``, ``"local"``, ``"file"``.
      id: name of the file, or Minari's id.
      sha256: of the HDF5 file that was read.
      num_transitions: `D`.
      num_episodes: `J`.
      recipe: how data of source ``"local"`` were made; None for others.
    """

    env: str
    source: str
    id: str
    sha256: str
    num_transitions: int
    num_episodes: int
    recipe: Mapping[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The content of ``dataset.json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class OfflineDataset:
    """A dataset, flat, with the borders of its trajectories.

    Attributes:
      transitions: float32 NumPy arrays with leading axis `D`, rewards transformed.
      episode_offsets: `[J + 1]` where each trajectory begins, then `D`.
      policy: `[D]` int32 label of the policy that acted; None where unknown.
      provenance: where the data came from.
    """

    transitions: types.Transition
    episode_offsets: np.ndarray
    policy: np.ndarray | None
    provenance: Provenance

    @property
    def episode_id(self) -> np.ndarray:
        """`[D]` the trajectory that each transition belongs to."""
        return transitions.ids(self.episode_offsets)


def load(
    task_name: str,
    source: str = "auto",
    *,
    seed: int = 0,
    num_transitions: int | None = None,
    after_terminal: str = "keep",
    progress: bool = True,
    log: Log = print,
) -> OfflineDataset:
    """Loads the dataset of a task, making or downloading it if need be.

    Args:
      task_name: a D4RL name.
      source: ``"d4rl"``, ``"minari"`` or ``"minari:ID"``, ``"local"``, ``"file:PATH"``,
        or ``"auto"``: the original if cached or reachable, else local.
      seed: of ``"local"`` data; others ignore it.
      num_transitions: size of ``"local"`` data, a million by default; of others the
        leading transitions are kept, all by default.
      after_terminal: ``"keep"`` or ``"drop"`` what an episode holds beyond its first
        terminal step; only AntMaze's have any.
      progress: whether to show progress.
      log: takes one line.

    Raises:
      UserError: unknown task or source; data absent, damaged or unfit for the task.
    """
    found, provenance = read(
        task_name,
        source,
        seed=seed,
        num_transitions=num_transitions,
        progress=progress,
        log=log,
    )
    if after_terminal not in ("keep", "drop"):
        raise errors.UserError(
            f"after_terminal must be keep or drop, got {after_terminal!r}"
        )
    if after_terminal == "drop":
        found = [episodes.until_terminal(episode) for episode in found]
    offsets = transitions.offsets(found)
    flat = transitions.flatten(found)
    rewards: Any = transforms.transform_rewards(
        tasks.get(task_name).reward_transform, np.asarray(flat.reward), offsets
    )
    return OfflineDataset(
        transitions=flat._replace(reward=rewards),
        episode_offsets=offsets,
        policy=transitions.policies(found),
        provenance=provenance,
    )


def read(
    task_name: str,
    source: str = "auto",
    *,
    seed: int = 0,
    num_transitions: int | None = None,
    progress: bool = True,
    log: Log = print,
) -> tuple[list[episodes.Episode], Provenance]:
    """Like ``load``, but returns the episodes with their recorded rewards."""
    task = tasks.get(task_name)
    if num_transitions is not None and num_transitions < 1:
        raise errors.UserError(f"num_transitions={num_transitions} must be at least 1")
    kind, _, detail = source.partition(":")
    if kind not in _READERS or (detail and kind not in ("minari", "file")):
        raise errors.UserError(
            f"unknown --source={source!r}; choose auto, d4rl, minari, minari:ID, local "
            "or file:PATH"
        )
    request = _Request(task, detail, seed, num_transitions, progress, log)
    found, provenance = _READERS[kind](request)
    found = validate.check(found, task, provenance.id, log)
    if num_transitions is not None:
        found = _leading(found, num_transitions)
    provenance = dataclasses.replace(
        provenance,
        num_transitions=sum(map(len, found)),
        num_episodes=len(found),
    )
    return found, provenance


@dataclasses.dataclass(frozen=True)
class _Request:
    """What the reader of a source needs to know; see ``load``."""

    task: tasks.Task
    detail: str
    seed: int
    num_transitions: int | None
    progress: bool
    log: Log


_Read = tuple[list[episodes.Episode], Provenance]


def _read_d4rl(request: _Request) -> _Read:
    path = download.fetch(request.task, show_progress=request.progress, log=request.log)
    return _read_original(request, path)


def _read_original(request: _Request, path: pathlib.Path) -> _Read:
    found, sha256 = d4rl.read(path, request.task)
    return found, Provenance(request.task.name, "d4rl", path.name, sha256, 0, 0)


def _read_minari(request: _Request) -> _Read:
    dataset_id = request.detail or minari.published_id(request.task.name)
    found, sha256 = minari.read(dataset_id, request.task)
    if not request.detail:
        request.log(
            f"note: {dataset_id} differs from {request.task.name} in policies and "
            "environment; scores on D4RL's environment are not comparable"
        )
    return found, Provenance(request.task.name, "minari", dataset_id, sha256, 0, 0)


def _read_local(request: _Request) -> _Read:
    size = request.num_transitions or generate.DEFAULT_TRANSITIONS
    dataset_id = generate.ensure(
        request.task,
        seed=request.seed,
        num_transitions=size,
        show_progress=request.progress,
        log=request.log,
    )
    found, sha256 = minari.read(dataset_id, request.task)
    recipe = generate.recipe_of(request.task, request.seed, size)
    return found, Provenance(
        request.task.name, "local", dataset_id, sha256, 0, 0, recipe
    )


def _read_file(request: _Request) -> _Read:
    if not request.detail:
        raise errors.UserError("--source=file: lacks a path; write --source=file:PATH")
    path = pathlib.Path(request.detail).expanduser()
    found, sha256 = d4rl.read(path, request.task)
    return found, Provenance(request.task.name, "file", str(path), sha256, 0, 0)


def _read_auto(request: _Request) -> _Read:
    name, log = request.task.name, request.log
    path = download.cached(request.task)
    if path is not None:
        log(f"data: {name}: D4RL's original, found in {download.cache_folder()}")
        return _read_original(request, path)
    try:
        if download.failed_lately():
            raise errors.UserError("D4RL's server could not be reached minutes ago")
        path = download.fetch(request.task, show_progress=request.progress, log=log)
    except errors.UserError as error:
        if request.task.recipe is None:
            raise errors.UserError(
                f"no data for {name}: {error}; put D4RL's file into "
                f"{download.cache_folder()}, or use --source=minari or file:PATH"
            ) from None
        log(f"data: {name}: local, by D4RL's recipe, not D4RL's own data ({error})")
        return _read_local(request)
    log(f"data: {name}: D4RL's original, downloaded to {download.cache_folder()}")
    return _read_original(request, path)


_READERS: Mapping[str, Callable[[_Request], _Read]] = {
    "auto": _read_auto,
    "d4rl": _read_d4rl,
    "minari": _read_minari,
    "local": _read_local,
    "file": _read_file,
}


def _leading(found: list[episodes.Episode], steps: int) -> list[episodes.Episode]:
    """The first ``steps`` transitions; the last episode may be cut short."""
    kept = []
    for episode in found:
        if steps <= 0:
            break
        kept.append(episode if len(episode) <= steps else _head(episode, steps))
        steps -= len(episode)
    return kept


def _head(episode: episodes.Episode, steps: int) -> episodes.Episode:
    truncations = episode.truncations[:steps].copy()
    truncations[-1] = True
    return episodes.Episode(
        observations=episode.observations[: steps + 1],
        actions=episode.actions[:steps],
        rewards=episode.rewards[:steps],
        terminations=episode.terminations[:steps],
        truncations=truncations,
        infos={name: array[:steps] for name, array in episode.infos.items()},
    )
