"""A CSV file of results that grows row by row and outlives an interruption."""

from __future__ import annotations

import csv
import io
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax import errors
from gem_jax.training import rundir

Row = Mapping[str, str]  # cells, as text


def read(
    path: pathlib.Path, columns: Sequence[str], *former: Sequence[str]
) -> list[Row]:
    """The rows of the file, none if there is no file; a half-written last one goes.

    Args:
      path: of the file.
      columns: of it.
      *former: those of older files; the others are then empty.

    Raises:
      UserError: it is no file, or one with other columns.
    """
    text = _read_text(path)
    whole = text[: text.rfind("\n") + 1]
    headers = [",".join(names) for names in (columns, *former)]
    if any(header.startswith(text) for header in headers):
        with rundir.writing(path):
            path.unlink(missing_ok=True)  # interrupted at its header
        return []
    if whole.split("\n", 1)[0] not in headers:
        raise foreign(path)
    if whole != text:  # interrupted while writing
        rundir.write_text(path, whole)
    rows = csv.DictReader(whole.splitlines())
    return [dict.fromkeys(columns, "") | row for row in rows]


def read_any(path: pathlib.Path) -> list[Row]:
    """The rows of a file with whatever columns, none if there is no file.

    A half-written last row is left out.

    Raises:
      UserError: it is no file, or none of text.
    """
    text = _read_text(path)
    return list(csv.DictReader(text[: text.rfind("\n") + 1].splitlines()))


def header(path: pathlib.Path) -> str:
    """The first line, nothing where there is no file.

    Raises:
      UserError: it is no file, or none of text.
    """
    return _read_text(path).split("\n", 1)[0]


def _read_text(path: pathlib.Path) -> str:
    """Nothing where there is no file."""
    try:
        return path.read_text() if path.exists() else ""
    except (OSError, UnicodeDecodeError):
        raise foreign(path) from None


def foreign(path: pathlib.Path) -> errors.UserError:
    """To be raised where the file was not written by the command."""
    return errors.UserError(
        f"{path} is not a table of this program; choose another --output"
    )


def append(
    path: pathlib.Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """Adds rows, after a header where there is no file yet, and folders for it."""
    new = not path.exists()
    if new:
        with rundir.writing(path):
            path.parent.mkdir(parents=True, exist_ok=True)
    rundir.append_text(path, _text(columns, rows, header=new))


def write(
    path: pathlib.Path, columns: Sequence[str], rows: Sequence[Mapping[str, Any]]
) -> None:
    """A whole file, in place of one that was there."""
    rundir.write_text(path, _text(columns, rows, header=True))


def _text(
    columns: Sequence[str], rows: Sequence[Mapping[str, Any]], *, header: bool
) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, columns, lineterminator="\n")
    if header:
        writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()
