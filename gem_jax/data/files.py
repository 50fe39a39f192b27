"""Reading files that may be damaged: one error that names the file and the remedy."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import json
import pathlib
import zipfile
import zlib
from collections.abc import Iterator
from typing import Any

import h5py

from gem_jax import errors
from gem_jax.data import layouts

# What h5py, NumPy and zipfile raise at damaged bytes, by what these stood for.
_DAMAGE = (KeyError, OSError, RuntimeError, TypeError, ValueError, EOFError)
_DAMAGED_ARCHIVE = (zipfile.BadZipFile, zlib.error)
_DAMAGED_SIZE = (MemoryError, OverflowError, RecursionError, csv.Error)


def read_json(path: pathlib.Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
      UserError: unreadable, or no JSON object.
    """
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise errors.UserError(f"cannot read {path}: {error}") from None
    if not isinstance(content, dict):
        raise errors.UserError(f"{path} holds no JSON object")
    return content


def file_sha256(path: pathlib.Path) -> str:
    """The hexadecimal SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def open_hdf5(path: pathlib.Path) -> Iterator[h5py.File]:
    """Opens an HDF5 file for a block that only reads it.

    Raises:
      UserError: absent, no HDF5 file, or damage came to light within the block.
    """
    layouts.check_hdf5(path)
    what = f"{path} ({path.stat().st_size:,} bytes) is damaged"
    with refusing_damage(what), h5py.File(path, "r") as file:
        yield file


@contextlib.contextmanager
def refusing_damage(what: str) -> Iterator[None]:
    """What comes of damaged bytes in the block becomes one error.

    Raises:
      UserError: begins with ``what``.
    """
    try:
        yield
    except errors.UserError:  # says more than we could
        raise
    except _DAMAGE + _DAMAGED_ARCHIVE + _DAMAGED_SIZE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise errors.UserError(f"{what}; get it again ({reason})") from None
