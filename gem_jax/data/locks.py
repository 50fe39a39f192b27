"""One process at a time: an advisory lock that its owner's death releases."""

from __future__ import annotations

import contextlib
import fcntl
import pathlib
from collections.abc import Callable, Iterator


@contextlib.contextmanager
def hold(path: pathlib.Path, what: str, log: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file ``path``; says so when it must wait for another process.

    The operating system releases the lock when its holder dies, however it dies, so
    a left-over file blocks nobody. It is not removed: that would race with a waiter.

    Args:
      path: the lock file, created when absent.
      what: the thing that is locked, for the message.
      log: takes one line.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            log(f"another process is making {what}; waiting for it")
            fcntl.flock(file, fcntl.LOCK_EX)
        yield
