"""Tasks of one's own: a TOML or JSON file, and what a run folder keeps of one."""

from __future__ import annotations

import dataclasses
import difflib
import json
import os
import pathlib
import tomllib
from collections.abc import Mapping
from typing import Any

from gem_jax import errors
from gem_jax.data.task import Task

ENDINGS = (".toml", ".json")
_KEYS = (
    *("name", "observation_size", "action_size", "horizon"),
    *("action_low", "action_high", "env_id", "env_kwargs", "observation_keys"),
    *("source", "reward_transform", "min_score", "max_score", "scored_by"),
)
_REQUIRED = _KEYS[:4]
_FILE = "file:"


def is_path(name: str) -> bool:
    """Whether ``--env`` names a file and not a task of the table."""
    return name.lower().endswith(ENDINGS)


def read_task(path: str | os.PathLike[str]) -> Task:
    """Reads a task from a file; nothing it names is imported or opened here.

    A relative path in ``source = "file:PATH"`` counts from the folder of the file.

    Args:
      path: ends in ``.toml`` or ``.json``; the keys are the fields of ``Task`` down to
        the reference scores, and ``scored_by``.

    Raises:
      UserError: the file cannot be read, lacks a key, or has an unknown one or a value
        that cannot be meant; names file, key and remedy.
    """
    path = pathlib.Path(path).expanduser()
    task = from_fields(_content(path), str(path))
    kind, _, detail = task.source.partition(":")
    if kind != "file" or not detail:
        return task
    log = path.absolute().parent / pathlib.Path(detail).expanduser()
    return dataclasses.replace(task, source=f"{_FILE}{log}")


def from_fields(content: Mapping[str, Any], where: str) -> Task:
    """A task of one's own from plain values.

    Args:
      content: keys of a task file.
      where: the file, for messages.

    Raises:
      UserError: as ``read_task``.
    """
    if not isinstance(content, Mapping):
        raise errors.UserError(f"{where}: a task is a table of keys and values")
    for key in content:
        if key not in _KEYS:
            near = difflib.get_close_matches(key, _KEYS, n=1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise errors.UserError(
                f"{where}: unknown key {key!r}; {hint}there are {', '.join(_KEYS)}"
            )
    for key in _REQUIRED:
        if key not in content:
            raise errors.UserError(
                f"{where}: {key} is missing; a task needs {', '.join(_REQUIRED)}"
            )
    try:
        return Task(**content)
    except errors.UserError as error:
        raise errors.UserError(f"{where}: {error}") from None


def fields(task: Task) -> dict[str, Any]:
    """What a run folder keeps of a task of one's own, fit for JSON.

    All but where the data come from, which has a record of its own.
    """
    return {key: getattr(task, key) for key in _KEYS if key != "source"}


def _content(path: pathlib.Path) -> Any:
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise errors.UserError(
            f"cannot read the task {path}: {error.strerror}"
        ) from None
    except UnicodeDecodeError as error:
        raise errors.UserError(f"{path} is no text in UTF-8 ({error})") from None
    is_json = path.suffix.lower() == ".json"
    try:
        return json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # of both readers
        kind = "JSON" if is_json else "TOML"
        raise errors.UserError(f"{path} is no {kind}: {error}") from None
