"""Fetches original files: resumable, checked, and quick to give up offline.

Our own code, because pooch checks hashes but starts a transfer that was cut off anew.
"""

from __future__ import annotations

import http.client
import os
import pathlib
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable

from gem_jax import errors
from gem_jax.data import files, publishers, tasks
from gem_jax.utils import locks, progress

MAX_BYTES = 2 * 10**9

_CONNECT_SECONDS = 12.0  # for name, connection and answer together
_READ_SECONDS = 30.0  # without a single byte
_BLOCK = 1 << 20
_RETRY_SECONDS = 600.0  # how long a failed attempt is remembered


def cached(task: tasks.Task) -> pathlib.Path | None:
    """The original file of ``task``, checked, or None where there is none.

    Raises:
      UserError: the file is there but is not the published one.
    """
    if task.original is None:
        return None
    path = _cache_path(task.original)
    if not path.is_file():
        return None
    _check(path, task.original, f"delete {path}, or use it as --source=file:{path}")
    return path


def fetch(
    task: tasks.Task,
    publisher: str | None = None,
    *,
    show_progress: bool = True,
    log: Callable[[str], None] = print,
) -> pathlib.Path:
    """Returns the original file of ``task``, downloaded unless it is cached.

    A download that was cut off leaves ``NAME.part``, from which the next one goes on.
    The file gets its name only when its size and hash are right.

    Args:
      task: whose file.
      publisher: whose it must be, ``"d4rl"`` or ``"ogbench"``; by default anybody's.
      show_progress: whether to show a progress bar.
      log: takes one line.

    Raises:
      UserError: server not reachable, transfer cut off, wrong file, disk full; nobody
        publishes such a file.
    """
    if task.original is None or publisher not in (None, task.original.publisher):
        title = publishers.PUBLISHERS[publisher or "d4rl"].title
        other = "local" if task.recipe else "file:PATH"
        raise errors.UserError(
            f"{title} has no {task.name}, whose data come by --source={other}"
        )
    path = cached(task)
    if path is not None:
        return path
    path = _cache_path(task.original)
    try:
        with locks.hold(path.with_name(f".{path.name}.lock"), path.name, log):
            if not path.is_file():  # another process may just have fetched it
                part = path.with_name(f"{path.name}.part")
                _transfer(task.original, part, show_progress)
                os.replace(part, path)
    except OSError as error:
        raise errors.UserError(f"cannot write {path}: {error}") from error
    return path


def failed_lately(original: tasks.OriginalFile) -> bool:
    """Whether its server could not be reached in the last ten minutes."""
    try:
        age = time.time() - _failure_marker(original).stat().st_mtime
    except OSError:
        return False
    return 0.0 <= age < _RETRY_SECONDS


def _publisher(original: tasks.OriginalFile) -> publishers.Publisher:
    return publishers.PUBLISHERS[original.publisher]


def _cache_path(original: tasks.OriginalFile) -> pathlib.Path:
    folder = _publisher(original).cache_folder()
    return folder / pathlib.PurePosixPath(original.path).name


def _failure_marker(original: tasks.OriginalFile) -> pathlib.Path:
    return _publisher(original).cache_folder() / ".unreachable"


def _transfer(
    original: tasks.OriginalFile, part: pathlib.Path, show_progress: bool
) -> None:
    offset = part.stat().st_size if part.is_file() else 0
    if offset != original.num_bytes:  # else only the check and the new name are missing
        response = _open(original, offset)
        with response:
            if response.status != 206:  # the server starts over
                offset = 0
            total = offset + int(response.headers.get("Content-Length") or 0)
            if total > MAX_BYTES or original.num_bytes not in (None, total):
                raise errors.UserError(
                    f"the server offers {total:,} bytes for {original.path}, expected "
                    f"{original.num_bytes or f'at most {MAX_BYTES}'}; not downloaded"
                )
            bar = progress.Progress(part.stem, total, "bytes", show_progress)
            bar.add(offset)
            _copy(response, part, offset, bar)
        if part.stat().st_size != total:
            raise errors.UserError(
                f"the download of {original.path} stopped at {part.stat().st_size:,} "
                f"of {total:,} bytes; run again to go on from there"
            )
    try:
        _check(part, original, "run again to download it anew")
    except errors.UserError:
        part.unlink()
        raise


def _copy(
    response: http.client.HTTPResponse,
    part: pathlib.Path,
    offset: int,
    bar: progress.Progress,
) -> None:
    with part.open("ab" if offset else "wb") as file:
        try:
            while block := response.read(_BLOCK):
                file.write(block)
                bar.add(len(block))
        except (http.client.HTTPException, TimeoutError, ConnectionError):
            pass  # the caller compares sizes, and says how to go on


def _open(original: tasks.OriginalFile, offset: int) -> http.client.HTTPResponse:
    """Opens the server's file from byte ``offset`` on, or gives up in time."""
    url = _publisher(original).url + original.path
    headers = {"Range": f"bytes={offset}-"} if offset else {}
    request = urllib.request.Request(url, headers=headers)
    outcome: list[http.client.HTTPResponse | Exception] = []

    def work() -> None:
        try:
            outcome.append(urllib.request.urlopen(request, timeout=_READ_SECONDS))
        except Exception as error:
            outcome.append(error)

    # Looking up a name has no time limit of its own, hence the thread.
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(_CONNECT_SECONDS)
    result = outcome[0] if outcome else TimeoutError("no answer")
    if isinstance(result, Exception):
        if isinstance(result, urllib.error.HTTPError):
            result.close()
        else:
            _failure_marker(original).touch()
        reason = getattr(result, "reason", result)
        raise errors.UserError(
            f"cannot reach {url}: {reason}; try again, or use --source=local"
        ) from None
    _failure_marker(original).unlink(missing_ok=True)
    return result


def _check(path: pathlib.Path, original: tasks.OriginalFile, remedy: str) -> None:
    size = path.stat().st_size
    if original.num_bytes not in (None, size):
        raise errors.UserError(
            f"{path} has {size:,} bytes, the original {original.num_bytes:,}; {remedy}"
        )
    if original.sha256 is None:  # then at least no error page or login page
        if not _publisher(original).is_whole(path):
            expected = _publisher(original).file_format
            raise errors.UserError(f"{path} is no {expected} file; {remedy}")
        return
    sha256 = files.file_sha256(path)
    if sha256 != original.sha256:
        raise errors.UserError(
            f"{path} has SHA-256 {sha256[:16]}, the original {original.sha256[:16]}; "
            f"{remedy}"
        )
