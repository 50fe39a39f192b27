"""The files of a run folder, but for its checkpoints."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import pathlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from gem_jax import errors

CONFIG = "config.json"
DATASET = "dataset.json"
METRICS = "metrics.jsonl"
EVAL = "eval.jsonl"
_SUMMARIZED = ("env", "algo", "seeds", "normalized_score")
SUMMARY = "summary.json"
FAILURE = "failure.txt"  # why the last attempt ended, from whoever trains many
# Of the folder: of what a checkpoint holds, and what config.json says of it.
FORMAT = 3
# Keys of a task of one's own that the first folders lack, with their defaults.
_LATER = (("scored_by", "return"),)


def write_json(path: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Writes a JSON file whole or not at all.

    Raises:
      UserError: the folder cannot be written.
    """
    write_text(path, dump(content, indent=2) + "\n")


def dump(content: Any, indent: int | None = None) -> str:
    """JSON that every reader takes: a number that is not finite becomes ``null``."""
    return json.dumps(_finite(content), indent=indent, allow_nan=False)


def _finite(content: Any) -> Any:
    if isinstance(content, Mapping):
        return {name: _finite(value) for name, value in content.items()}
    if isinstance(content, list | tuple):
        return [_finite(value) for value in content]
    if isinstance(content, float) and not math.isfinite(content):
        return None
    return content


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON file of a run folder.

    Raises:
      UserError: there is none, or it is not JSON.
    """
    try:
        content = json.loads(path.read_text())
    except (FileNotFoundError, NotADirectoryError):
        raise errors.UserError(
            f"no {path.name} in {path.parent}; is it a run folder?"
        ) from None
    except OSError as error:
        raise errors.UserError(f"cannot read {path}: {error.strerror}") from None
    except ValueError as error:  # no JSON, or no text
        raise errors.UserError(f"{path} is not JSON ({error}); it is damaged") from None
    if not isinstance(content, dict):
        raise errors.UserError(f"{path} holds no JSON object; it is damaged")
    return content


def require_format(record: dict[str, Any]) -> dict[str, Any]:
    """The content of a ``config.json``, if this version reads such folders.

    Raises:
      UserError: names the version that wrote it.
    """
    written_as = record.get("format", 1)
    if written_as != FORMAT:
        version = record.get("versions", {}).get("gem_jax")
        raise errors.UserError(
            f"this is a run of gem_jax {version}, whose folders (format {written_as}) "
            f"this version does not read (format {FORMAT}); use that version, or train "
            "anew"
        )
    return record


def settings_hash(record: Mapping[str, Any]) -> str:
    """Short name of everything that decides a run but its seeds: data and settings.

    Args:
      record: content of ``config.json``.
    """
    identity = {k: v for k, v in record["identity"].items() if k != "seeds"}
    if "task" in identity:
        identity["task"] = own_task(identity)
    text = json.dumps(identity, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def own_task(record: Mapping[str, Any]) -> dict[str, Any] | None:
    """What tells a run's own task from others; ``None`` for one of the table.

    A key that came later and stands at its default is left out, since older folders
    lack it: theirs are the same tasks, and their hashes stay as they are.

    Args:
      record: content of ``config.json``, or its ``identity``.
    """
    if "task" not in record:
        return None
    return {k: v for k, v in record["task"].items() if (k, v) not in _LATER}


def append_lines(path: pathlib.Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Appends one JSON object a line.

    Raises:
      UserError: the file cannot be written.
    """
    append_text(path, "".join(dump(row) + "\n" for row in rows))


def read_summary(workdir: pathlib.Path) -> dict[str, Any]:
    """What a run that has ended says of itself.

    Raises:
      UserError: it has not ended, or the file is not one that a run writes.
    """
    content = read_json(workdir / SUMMARY)
    missing = [name for name in _SUMMARIZED if name not in content]
    if missing:
        raise errors.UserError(
            f"{workdir / SUMMARY} is damaged, it lacks {missing[0]!r}; remove it and "
            "train again, which continues from the checkpoint"
        )
    return content


def append_text(path: pathlib.Path, text: str) -> None:
    """Appends whole lines.

    Raises:
      UserError: the file cannot be written.
    """
    with writing(path), path.open("a") as file:
        file.write(text)


def read_lines(path: pathlib.Path) -> list[dict[str, Any]]:
    """The objects of a lines file; an unfinished last line is left out."""
    if not path.exists():
        return []
    lines = path.read_text().splitlines()
    rows = []
    for number, line in enumerate(lines):
        try:
            rows.append(json.loads(line))
        except json.JSONDecodeError:
            if number < len(lines) - 1:
                raise errors.UserError(f"{path} line {number + 1} is damaged") from None
    return rows


def forget_after(path: pathlib.Path, step: int) -> None:
    """Drops rows beyond ``step``: a resumed run will write them again."""
    rows = read_lines(path)
    if path.exists():
        kept = [row for row in rows if row["step"] <= step]
        write_text(path, "".join(dump(row) + "\n" for row in kept))


def write_text(path: pathlib.Path, text: str) -> None:
    """Writes to a temporary name and renames, so that no reader sees half a file.

    Raises:
      UserError: the folder cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            temporary.write_text(text)
            os.replace(temporary, path)
        except OSError:
            with contextlib.suppress(OSError):  # the folder may be a file
                temporary.unlink()
            raise


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Makes of an ``OSError`` inside a ``UserError`` that names the file.

    Raises:
      UserError: the file cannot be written.
    """
    try:
        yield
    except OSError as error:
        raise errors.UserError(
            f"cannot write {path}: {error.strerror}; free space or choose another "
            "folder"
        ) from error
