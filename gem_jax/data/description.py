"""What a dataset without a row in the table of tasks says of itself.

Sizes, bounds of actions, horizon and environment are told from the data, or from what
lies beside them, and written as the first version of a task file.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax import errors
from gem_jax.data import episodes, files, loading, minari, tasks, telling
from gem_jax.data import telling_environment as environments
from gem_jax.data.readers import table
from gem_jax.data.sources import Log, Provenance

_LONGEST = 90  # letters of a name that is told


@dataclasses.dataclass(frozen=True)
class Description:
    """The fields of a task file, and how each was told.

    Attributes:
      name: of the task.
      env_id: gymnasium id; None where there is nothing to evaluate in.
      env_kwargs: for the environment's constructor.
      observation_size: `O`.
      action_size: `A`.
      action_low: `[A]`, raw units.
      action_high: `[A]`, raw units.
      horizon: steps of the environment's limit, or of the longest episode.
      source: as ``--source`` takes it.
      num_transitions: `D`.
      min_score: return of a reference; None where unknown.
      max_score: the same above.
      notes: one line on a field, by its name.
    """

    name: str
    env_id: str | None
    env_kwargs: Mapping[str, Any]
    observation_size: int
    action_size: int
    action_low: tuple[float, ...]
    action_high: tuple[float, ...]
    horizon: int
    source: str
    num_transitions: int
    min_score: float | None
    max_score: float | None
    notes: Mapping[str, str]


def of_source(
    source: str,
    *,
    name: str | None = None,
    env_id: str | None = None,
    bounds: str = "file",
    num_transitions: int | None = None,
    log: Log = print,
) -> tuple[Description, list[episodes.Episode], Provenance]:
    """Reads ``file:PATH`` or ``minari:ID`` and describes it.

    Args:
      source: one of the two.
      name: of the task; by default made of the file's name or the id.
      env_id: to evaluate in; ``"none"`` to train only; by default what the data name,
        where that is known.
      bounds: of actions: ``"file"``, those of the space beside the data, where there is
        one; or ``"data"``, the data's extremes.
      num_transitions: how many of the leading transitions to read.
      log: takes one line.

    Returns:
      The description, the episodes as recorded, and where they came from.

    Raises:
      UserError: not such a source; data absent, damaged, of no layout that is read, or
        empty; an unknown environment; bounds that are infinite.
    """
    kind, _, detail = source.partition(":")
    if kind == "minari" and detail:
        recorded, sha256 = minari.read(detail, None, num_transitions)
        folder, layout = minari.data_folder(detail), table.layout("Minari's HDF5")
    elif kind == "file" and detail:
        path = pathlib.Path(detail).expanduser().resolve()
        layout, folder, source = table.recognize(path), path.parent, f"file:{path}"
        recorded, sha256 = layout.read(path, None, log, num_transitions)
        detail = str(path)
    else:
        raise errors.UserError(
            f"--source={source} is not described; name file:PATH or minari:ID"
        )
    recorded, provenance = loading.counted(
        recorded, Provenance("", kind, detail, sha256, 0, 0), num_transitions
    )
    beside = folder / minari.METADATA_FILE
    has_metadata = layout.name == "Minari's HDF5" and beside.is_file()
    told = of_episodes(
        recorded,
        name or _name_of(pathlib.Path(detail).stem if kind == "file" else detail),
        source,
        unit_actions=layout.unit_actions,
        metadata=files.read_json(beside) if has_metadata else {},
        env_id=env_id,
        bounds=bounds,
    )
    tasks.get(to_task(told))  # refuses a name that the table has
    return told, recorded, dataclasses.replace(provenance, env=told.name)


def of_episodes(
    recorded: Sequence[episodes.Episode],
    name: str,
    source: str,
    *,
    unit_actions: bool = False,
    metadata: Mapping[str, Any] | None = None,
    env_id: str | None = None,
    bounds: str = "file",
) -> Description:
    """Describes episodes; see ``of_source``.

    Args:
      recorded: as a reader returned them.
      name: of the task.
      source: for the task file.
      unit_actions: whether the layout means actions to lie in [-1, 1].
      metadata: Minari's, where they lie beside the data.
      env_id: see ``of_source``.
      bounds: see ``of_source``.

    Raises:
      UserError: see ``of_source``.
    """
    parts = (
        (e.observations.shape[-1], e.actions, e.left_out) for e in recorded if len(e)
    )
    return _tell(
        telling.outline(parts, source),
        name,
        source,
        metadata or {},
        unit_actions=unit_actions,
        env_id=env_id,
        bounds=bounds,
    )


def of_minari(dataset_id: str) -> Description:
    """Describes a Minari dataset as ``of_source``, without reading all of it.

    Raises:
      UserError: see ``of_source``.
    """
    source = f"minari:{dataset_id}"
    parts = ((size, actions, 0) for size, actions in minari.skim(dataset_id))
    outlined = telling.outline(parts, source)
    beside = minari.data_folder(dataset_id) / minari.METADATA_FILE
    return _tell(outlined, _name_of(dataset_id), source, files.read_json(beside))


def _tell(
    outlined: telling.Outline,
    name: str,
    source: str,
    metadata: Mapping[str, Any],
    *,
    unit_actions: bool = False,
    env_id: str | None = None,
    bounds: str = "file",
) -> Description:
    environment = environments.environment(metadata, env_id, source)
    box, box_note = telling.bounds(
        outlined,
        metadata,
        bounds,
        source,
        unit_actions=unit_actions,
        environment=environment.id,
    )
    low, high = telling.scores(metadata)
    horizon = max(environment.limit or 0, outlined.horizon)
    told = Description(
        name=name,
        env_id=environment.id,
        env_kwargs=environment.kwargs,
        observation_size=outlined.observation_size,
        action_size=len(outlined.low),
        action_low=box.low,
        action_high=box.high,
        horizon=horizon,
        source=source,
        num_transitions=outlined.num_transitions,
        min_score=low,
        max_score=high,
        notes={
            "env_id": environment.note,
            "action_low": box_note,
            "horizon": "the limit of the environment"
            if horizon == environment.limit
            else "the longest episode of the data",
        },
    )
    try:
        to_task(told)  # what is written down can be read
    except errors.UserError as error:
        raise errors.UserError(f"{source}: {error}") from None
    return told


def to_task(described: Description) -> tasks.Task:
    """The task that its task file would give."""
    return tasks.Task(
        name=described.name,
        env_id=described.env_id,
        env_kwargs=described.env_kwargs,
        observation_size=described.observation_size,
        action_size=described.action_size,
        action_low=described.action_low,
        action_high=described.action_high,
        horizon=described.horizon,
        source=described.source,
        min_score=described.min_score,
        max_score=described.max_score,
    )


def _name_of(text: str) -> str:
    """A name for a task; of its own where the text is that of a task in the table."""
    plain = re.sub(r"[^A-Za-z0-9.]+|\.{2,}", "-", text).strip("-.").lower()
    name = plain[:_LONGEST] or "dataset"
    return f"own-{name}" if name in tasks.table() else name
