"""Where data come from: one reader a source, each of which says what it found."""

from __future__ import annotations

import dataclasses
import functools
import os
import pathlib
from collections.abc import Callable, Mapping
from typing import Any

from gem_jax import errors
from gem_jax.data import (
    d4rl,
    download,
    episodes,
    minari,
    ports,
    publishers,
    tasks,
    transforms,
)
from gem_jax.data.local import generate
from gem_jax.data.ogbench import reading as ogbench
from gem_jax.data.readers import table
from gem_jax.data.task import OWN

Log = Callable[[str], None]


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What a dataset is and where it came from; belongs to every result.

    Attributes:
      env: name of the task.
      source: what the source became: ``"d4rl"``, ``"ogbench"``, ``"minari"``,
        ``"local"``, ``"file"``, ``"arrays"``.
      id: name of the file or of the arrays, or Minari's id.
      sha256: of the file that was read, or of the arrays.
      num_transitions: `D`.
      num_episodes: `J`.
      recipe: how data of source ``"local"`` were made; None for others.
      repairs: what was mended on loading, see ``gem_jax.data.repairs``.
      rewards: what training sees of the rewards; None where none were transformed yet.
      best_share: of the episodes that were recorded, those with the highest returns.
    """

    env: str
    source: str
    id: str
    sha256: str
    num_transitions: int
    num_episodes: int
    recipe: Mapping[str, Any] | None = None
    repairs: tuple[str, ...] = ()
    rewards: transforms.RewardTransform | None = None
    best_share: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """The content of ``dataset.json``."""
        return dataclasses.asdict(self)


@dataclasses.dataclass(frozen=True)
class Request:
    """What the reader of a source needs to know; see ``gem_jax.data.load``."""

    task: tasks.Task
    seed: int
    num_transitions: int | None
    progress: bool
    log: Log
    detail: str = ""  # what follows the colon of a source


def of_file(path: os.PathLike[str]) -> str:
    """The source that reads a file."""
    return f"file:{os.fspath(path)}"


Read = tuple[list[episodes.Episode], Provenance]


def read(source: str, request: Request) -> Read:
    """Reads a source, unchecked; the provenance's counts are left to the caller.

    Raises:
      UserError: unknown source; data absent or damaged; an extra is not installed.
    """
    if source == "auto" and request.task.source != "auto":
        source = request.task.source
        request.log(f"data: {request.task.name}: {source}, as the task says")
    kind, _, detail = source.partition(":")
    if kind not in _READERS or (detail and kind not in ("minari", "file")):
        raise errors.UserError(
            f"unknown --source={source!r}; choose auto, d4rl, ogbench, minari, "
            "minari:ID, local or file:PATH"
        )
    if request.task.suite == ogbench.SUITE:
        ogbench.require()  # before anything is fetched
    return _READERS[kind](dataclasses.replace(request, detail=detail))


def _read_published(publisher: str, request: Request) -> Read:
    path = download.fetch(
        request.task, publisher, show_progress=request.progress, log=request.log
    )
    return _read_original(request, path)


def _read_original(request: Request, path: pathlib.Path) -> Read:
    assert request.task.original is not None
    publisher = request.task.original.publisher
    recorded, sha256 = _FILE_READERS[publisher](
        path, request.task, request.log, request.num_transitions
    )
    return recorded, Provenance(request.task.name, publisher, path.name, sha256, 0, 0)


def _read_minari(request: Request) -> Read:
    task = request.task
    dataset_id = request.detail or ports.published_id(task)
    recorded, sha256 = _read_set(dataset_id, task, request.num_transitions)
    request.log(_relation(dataset_id, task))
    return recorded, Provenance(task.name, "minari", dataset_id, sha256, 0, 0)


def _relation(dataset_id: str, task: tasks.Task) -> str:
    """One line: what a Minari dataset is to the task that it is taken for."""
    namespace, *rest = dataset_id.split("/")
    if namespace == "gem-jax" and len(rest) == 2:
        line = f"data: {task.name}: {dataset_id}, made on this machine"
        own = rest[0] == ogbench.as_recorded(task).name or task.suite == OWN
        return line if own else f"warning: {line} for {rest[0]}"
    line = f"data: {task.name}: Minari's {dataset_id}, not D4RL's data"
    made_in = minari.environment(dataset_id)
    if made_in is None or task.env_id is None:
        return f"{line}; evaluated in {task.env_id or 'nothing'}"
    line += f": other policies, made in {made_in}, evaluated in {task.env_id}"
    if made_in.partition("-v")[0] == task.env_id.partition("-v")[0]:
        return line
    return f"warning: {line}, another environment"


def _read_local(request: Request) -> Read:
    if not request.task.recipe:
        raise errors.UserError(
            f"{request.task.name} has no recipe by which data could be made here; give "
            "--source=file:PATH or --source=minari:ID, or source in its task file"
        )
    size = request.num_transitions or request.task.num_transitions
    made = ogbench.as_recorded(request.task)
    dataset_id = generate.ensure(
        made,
        seed=request.seed,
        num_transitions=size,
        show_progress=request.progress,
        log=request.log,
    )
    recorded, sha256 = _read_set(dataset_id, request.task, None)
    recipe = generate.recipe_of(made, request.seed, size)
    return recorded, Provenance(
        request.task.name, "local", dataset_id, sha256, 0, 0, recipe
    )


def _read_set(
    dataset_id: str, task: tasks.Task, limit: int | None
) -> tuple[list[episodes.Episode], str]:
    recorded, sha256 = minari.read(dataset_id, task, limit)
    if task.suite == ogbench.SUITE:  # its sets serve all tasks of a world
        recorded = ogbench.with_rewards(recorded, dataset_id, task)
    return recorded, sha256


def _read_file(request: Request) -> Read:
    if not request.detail:
        raise errors.UserError("--source=file: lacks a path; write --source=file:PATH")
    path = pathlib.Path(request.detail).expanduser()
    reader: Callable[..., tuple[list[episodes.Episode], str]] = ogbench.read
    if request.task.suite != ogbench.SUITE:
        reader = table.recognize(path).read
    recorded, sha256 = reader(path, request.task, request.log, request.num_transitions)
    return recorded, Provenance(request.task.name, "file", str(path), sha256, 0, 0)


def _read_auto(request: Request) -> Read:
    name, original, log = request.task.name, request.task.original, request.log
    if not request.task.recipe:
        raise errors.UserError(
            f"{name} does not say where its data are; give --source=file:PATH or "
            "--source=minari:ID, or source in its task file"
        )
    if original is None:
        log(f"data: {name}: local; D4RL has no such task")
        return _read_local(request)
    publisher = publishers.PUBLISHERS[original.publisher]
    title, folder = publisher.title, publisher.cache_folder()
    path = download.cached(request.task)
    if path is not None:
        log(f"data: {name}: {title}'s original, found in {folder}")
        return _read_original(request, path)
    try:
        if download.failed_lately(original):
            raise errors.UserError(f"{title}'s server could not be reached minutes ago")
        path = download.fetch(request.task, show_progress=request.progress, log=log)
    except errors.UserError as error:
        log(
            f"data: {name}: local, by {title}'s recipe, not {title}'s own data "
            f"({error})"
        )
        return _read_local(request)
    log(f"data: {name}: {title}'s original, downloaded to {folder}")
    return _read_original(request, path)


_FILE_READERS: Mapping[str, Callable[..., tuple[list[episodes.Episode], str]]] = {
    "d4rl": d4rl.read,
    "ogbench": ogbench.read,
}
_READERS: Mapping[str, Callable[[Request], Read]] = {
    "auto": _read_auto,
    "d4rl": functools.partial(_read_published, "d4rl"),
    "ogbench": functools.partial(_read_published, "ogbench"),
    "minari": _read_minari,
    "local": _read_local,
    "file": _read_file,
}
