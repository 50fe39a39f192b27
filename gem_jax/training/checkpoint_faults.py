"""What a failed read of a checkpoint means: damaged files, or trouble that passes.

Only damage that is recognized counts as damage: a hash that differs, a file that is
missing or does not parse. Descriptors that ran out, memory, a disk or a network that
answers badly say nothing about the files, and neither does an exception that nobody has
seen here: another version of orbax may raise it over files that are whole.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import operator
import os
import pathlib
import re
from collections.abc import Iterator

import jax

from gem_jax import errors

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)  # of a file inside the step
_REMEDIES = {
    errno.EMFILE: "raise the limit, ulimit -n",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "free some memory",
    errno.EACCES: "ask its owner for permission",
    errno.EPERM: "ask its owner for permission",
}
# How tensorstore begins what it says of a file that is cut, changed or missing, and of
# a machine in trouble; each is a ValueError. A version that it does not support is no
# damage, and neither is a precondition that fails on opening: a codec it does not know.
_DAMAGE = re.compile(
    r"(?!.*(Maximum supported version|Unsupported compression))"
    r"((DATA_LOSS|OUT_OF_RANGE|NOT_FOUND): Error (reading|opening)\b"
    r"|(FAILED_PRECONDITION|INVALID_ARGUMENT): Error reading\b"
    r"|.*\bError decoding\b)",
    re.S,
)
_TROUBLE = re.compile(
    r"(RESOURCE_EXHAUSTED|UNAVAILABLE|DEADLINE_EXCEEDED|PERMISSION_DENIED|ABORTED"
    r"|CANCELLED):"
)
_OTHER_TREE = "on-disk value metadata tree structures do not match"
_OS_ERROR = re.compile(r"os_error_code='(\d+)'")
# What orbax looks up in its descriptions of a state.
_KEY_FIELDS = operator.itemgetter("key", "key_type")
_VALUE_FIELDS = operator.itemgetter("value_type", "skip_deserialize")
_ARRAY_FIELDS = operator.itemgetter("param_name", "write_shape", "chunk_shape")


class Mismatch(ValueError):
    """What was read is not what was saved."""


def transient_cause(error: BaseException) -> str | None:
    """What kept from reading and what to do, where it says nothing about the files."""
    for cause in _chain(error, handled=True):
        text = errors.one_line(cause)
        number = _os_error(cause)
        if number is not None and number not in _ABSENT:
            return f"{os.strerror(number)}; {_REMEDIES.get(number, 'try again')}"
        if isinstance(cause, MemoryError) or (
            isinstance(cause, jax.errors.JaxRuntimeError)
            and "RESOURCE_EXHAUSTED" in str(cause)
        ):
            return f"out of memory ({text}); {_REMEDIES[errno.ENOMEM]}"
        unnumbered = isinstance(cause, OSError) and number is None
        if unnumbered and not isinstance(cause, FileNotFoundError):
            return f"{text}; try again"
        if isinstance(cause, ValueError) and _TROUBLE.match(str(cause)):
            return f"{text}; try again"
    return None


def is_damage(error: BaseException, step: pathlib.Path) -> bool:
    """Whether files are cut, changed or missing.

    Args:
      error: what reading them raised.
      step: the folder of the step.
    """
    if transient_cause(error) is not None:
        return False
    # What was only being handled says nothing: orbax tries names that need not exist.
    told = any(map(_tells_of_damage, _chain(error, handled=False)))
    return told or not _is_whole(step)


def _tells_of_damage(error: BaseException) -> bool:
    if isinstance(error, ValueError):
        parse_errors = (Mismatch, json.JSONDecodeError, UnicodeDecodeError)
        text = str(error)
        return (
            isinstance(error, parse_errors)
            or _DAMAGE.match(text) is not None
            or _OTHER_TREE in text  # the leaves were compared before orbax did
        )
    return isinstance(error, OSError) and (
        isinstance(error, FileNotFoundError) or error.errno in _ABSENT
    )


def _is_whole(step: pathlib.Path) -> bool:
    """Whether all parts are there, and in orbax's JSON files what it looks up in them.

    It looks unchecked, and stumbles over what is not there.
    """
    parts = [step / "state", *step.glob("rest")]
    try:
        if not (parts[0].is_dir() and (step / "meta").is_dir()):
            return False
        for path in (found for part in parts for found in part.glob("_METADATA")):
            for leaf in json.loads(path.read_text())["tree_metadata"].values():
                _VALUE_FIELDS(leaf["value_metadata"])
                for key in leaf["key_metadata"]:
                    _KEY_FIELDS(key)
        arrays = (p for part in parts for p in part.glob("array_metadatas/*"))
        for path in arrays:
            for array in json.loads(path.read_text())["array_metadatas"]:
                _ARRAY_FIELDS(array["array_metadata"])
    except (ValueError, KeyError, TypeError, AttributeError):
        return False
    except OSError:  # it tells nothing
        pass
    return True


def _os_error(error: BaseException) -> int | None:
    """The system's number of an error; tensorstore has it in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _chain(error: BaseException, *, handled: bool) -> Iterator[BaseException]:
    """An error and what it was raised from, or else, if asked, what was handled."""
    following: BaseException | None = error
    while following is not None:
        yield following
        context = following.__context__ if handled else None
        following = following.__cause__ or context


@contextlib.contextmanager
def reading(path: pathlib.Path) -> Iterator[None]:
    """Turns what says nothing about the files into a ``UserError``."""
    try:
        yield
    except Exception as error:
        if (trouble := transient_cause(error)) is None:
            raise
        raise errors.UserError(f"cannot read {path}: {trouble}") from error


@contextlib.contextmanager
def writing(path: pathlib.Path) -> Iterator[None]:
    """Turns what keeps from writing into a ``UserError``."""
    try:
        yield
    except (OSError, ValueError) as error:
        if not isinstance(error, OSError) and _os_error(error) is None:
            raise
        raise errors.UserError(
            f"cannot write {path}: {errors.one_line(error)}; free space or give "
            "another --workdir"
        ) from error


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Leaves out what orbax narrates of every step, and nothing else.

    Orbax writes to absl's logger, which is the whole process's: its level, handlers and
    other programs' lines stay as they are.
    """
    logger = logging.getLogger("absl")

    def worth_saying(record: logging.LogRecord) -> bool:
        narrated = f"{os.sep}orbax{os.sep}" in record.pathname
        return not narrated or record.levelno >= logging.ERROR

    logger.addFilter(worth_saying)
    try:
        yield
    finally:
        logger.removeFilter(worth_saying)
