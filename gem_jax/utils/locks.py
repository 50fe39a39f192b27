"""One process at a time: an advisory lock that its owner's death releases."""

from __future__ import annotations

import contextlib
import errno
import pathlib
from collections.abc import Callable, Iterator

import filelock

from gem_jax import errors

# How file systems answer that have no locks, among them some of clusters.
_NO_LOCKS = (errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL, errno.ENOSYS)


class Busy(errors.UserError):
    """Another process holds the lock; nothing is wrong with what it guards."""


@contextlib.contextmanager
def hold(path: pathlib.Path, what: str, log: Callable[[str], None]) -> Iterator[None]:
    """Holds the lock file ``path``; says so when it must wait for another process.

    The operating system releases the lock when its holder dies, however it dies, so
    a left-over file blocks nobody. It is not removed: that would race with a waiter.
    On a file system without locks a line warns, and nothing is held.

    Args:
      path: the lock file, created when absent.
      what: the thing that is locked, for the message.
      log: takes one line.

    Raises:
      UserError: the lock file cannot be written or locked.
    """
    lock = _open(path)
    try:
        if not _locked(lock, path, what, log):
            log(f"another process is making {what}; waiting for it")
            lock.acquire()
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def claim(
    path: pathlib.Path, what: str, log: Callable[[str], None] = print
) -> Iterator[None]:
    """Holds the lock file ``path`` as ``hold`` does, but never waits.

    Raises:
      Busy: another process holds it.
      UserError: it cannot be written.
    """
    lock = _open(path)
    if not _locked(lock, path, what, log):
        raise Busy(f"another process is using {what}; wait for its end")
    try:
        yield
    finally:
        lock.release()


def _open(path: pathlib.Path) -> filelock.BaseFileLock:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.open("a").close()
    except OSError as error:
        raise errors.UserError(
            f"cannot write {path.parent}: {error.strerror}; choose another folder"
        ) from error
    # A lock that outlives its process, the library's stand-in, is worse than none.
    return filelock.FileLock(path, fallback_to_soft=False, preserve_lock_file=True)


def _locked(
    lock: filelock.BaseFileLock,
    path: pathlib.Path,
    what: str,
    log: Callable[[str], None],
) -> bool:
    """Locks the file if nobody holds it; where there are no locks, only warns."""
    try:
        lock.acquire(blocking=False)
    except filelock.Timeout:
        return False
    except OSError as error:
        if error.errno not in _NO_LOCKS:
            raise errors.UserError(
                f"cannot lock {path}: {error.strerror}; try again, or choose another "
                "folder"
            ) from error
        log(
            f"warning: the file system of {path.parent} has no locks; see to it that "
            f"one process at a time uses {what}"
        )
    return True
