"""What a failed read of a checkpoint means: damaged files, or trouble that passes.

Only damage that is recognized counts as damage. Descriptors that ran out, memory, a
disk or a network that answers badly say nothing about the files, and neither does an
exception that nobody has seen here.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import traceback
from collections.abc import Iterator

import jax

_ABSENT = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR)  # of a file inside the step
_REMEDIES = {
    errno.EMFILE: "raise the limit, ulimit -n",
    errno.ENFILE: "close other programs",
    errno.ENOMEM: "free some memory",
    errno.EACCES: "ask its owner for permission",
    errno.EPERM: "ask its owner for permission",
}
# How tensorstore begins what it says of a file that is cut, changed or missing, and of
# a machine in trouble; each is a ValueError.
_DAMAGE = re.compile(
    r"(DATA_LOSS|OUT_OF_RANGE|NOT_FOUND|FAILED_PRECONDITION|INVALID_ARGUMENT): "
    r"Error (reading|opening)\b|.*\bError decoding\b",
    re.S,
)
_TROUBLE = re.compile(
    r"(RESOURCE_EXHAUSTED|UNAVAILABLE|DEADLINE_EXCEEDED|PERMISSION_DENIED|ABORTED"
    r"|CANCELLED):"
)
_OTHER_TREE = "on-disk value metadata tree structures do not match"
_OS_ERROR = re.compile(r"os_error_code='(\d+)'")


class Mismatch(ValueError):
    """What was read is not what was saved."""


def passing(error: BaseException) -> str | None:
    """What kept from reading and what to do, where it says nothing about the files."""
    for cause in _chain(error):
        text = one_line(cause)
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


def is_damage(error: BaseException) -> bool:
    """Whether an error tells of files that are cut, changed or missing."""
    return passing(error) is None and any(map(_tells_of_damage, _causes(error)))


def _tells_of_damage(error: BaseException) -> bool:
    if isinstance(error, ValueError):
        parse_errors = (Mismatch, json.JSONDecodeError, UnicodeDecodeError)
        text = str(error)
        return (
            isinstance(error, parse_errors)
            or _DAMAGE.match(text) is not None
            or _OTHER_TREE in text  # the leaves were compared before orbax did
        )
    if isinstance(error, OSError):
        return isinstance(error, FileNotFoundError) or _os_error(error) in _ABSENT
    # JSON with another content than orbax has written makes it stumble over types.
    stumbles = (KeyError, AttributeError, TypeError, IndexError)
    return isinstance(error, stumbles) and _raised_by_orbax(error)


def _raised_by_orbax(error: BaseException) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return bool(frames) and f"{os.sep}orbax{os.sep}" in frames[-1].filename


def _os_error(error: BaseException) -> int | None:
    """The system's number of an error; tensorstore has it in its text."""
    if isinstance(error, OSError):
        return error.errno
    found = _OS_ERROR.search(str(error))
    return int(found[1]) if found else None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was raised from."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__


def _chain(error: BaseException) -> Iterator[BaseException]:
    """An error, what it was raised from, and what was being handled."""
    following: BaseException | None = error
    while following is not None:
        yield following
        following = following.__cause__ or following.__context__


def one_line(error: BaseException) -> str:
    """The beginning of what an error says."""
    return " ".join(str(error).split())[:120] or type(error).__name__


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
