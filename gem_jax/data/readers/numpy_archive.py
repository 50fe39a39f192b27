"""Reads NumPy's ``.npz`` archives: D4RL's names, or OGBench's.

Arrays are read from their beginning as far as they are wanted, and their sizes are
known before. Nothing is unpickled: an array of Python objects is refused.
"""

from __future__ import annotations

import contextlib
import math
import pathlib
import zipfile
from collections.abc import Iterator, Mapping

import numpy as np

from gem_jax import errors
from gem_jax.data import d4rl, episodes, files, successors, tasks
from gem_jax.data.readers import columns, rows

_BLOCK = 1 << 24  # bytes read at once
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
_OGBENCH = ("observations", "actions", "terminals", "rewards", "masks")


class Member:
    """An array in an archive, of which the leading rows can be read."""

    def __init__(self, archive: zipfile.ZipFile, name: str, path: pathlib.Path) -> None:
        """Reads its header.

        Raises:
          UserError: it holds Python objects, or a form of header that none here needs.
        """
        self._open = lambda: archive.open(f"{name}.npy")
        with self._open() as stream:
            version = np.lib.format.read_magic(stream)
            if version not in _HEADERS:
                raise errors.UserError(
                    f"{path}: {name!r} is an array with named fields; store a plain one"
                )
            self.shape, self._fortran, self.dtype = _HEADERS[version](stream)
            self._begin = stream.tell()
        if self.dtype.hasobject:
            raise errors.UserError(
                f"{path}: {name!r} holds Python objects, which are not unpickled; "
                "store numbers"
            )

    def __getitem__(self, rows: slice, /) -> np.ndarray:
        """The rows of a slice without a start."""
        count = range(*rows.indices(self.shape[0])).stop
        stored = self.shape[0] if self._fortran else count
        array = np.empty(stored * math.prod(self.shape[1:]), self.dtype)
        with self._open() as stream:
            stream.seek(self._begin)
            left: memoryview = array.view(np.uint8).data
            while left:
                block = stream.read(min(_BLOCK, len(left)))
                if not block:
                    raise ValueError("an array ends early")
                left[: len(block)] = block
                left = left[len(block) :]
        shape = (stored, *self.shape[1:])
        return array.reshape(shape, order="F" if self._fortran else "C")[:count]


@contextlib.contextmanager
def members(
    path: pathlib.Path, also: tuple[str, ...] = ()
) -> Iterator[Mapping[str, Member]]:
    """The arrays of an archive by name, for a block that reads them.

    Args:
      path: the archive.
      also: names to read beside those of the layouts.

    Raises:
      UserError: damaged, or with arrays of Python objects.
    """
    what = f"{path} ({path.stat().st_size:,} bytes) is damaged"
    with files.refusing_damage(what), zipfile.ZipFile(path) as archive:
        names = [n.removesuffix(".npy") for n in archive.namelist() if n[-4:] == ".npy"]
        wanted = {*d4rl.REQUIRED, *d4rl.OPTIONAL, *_OGBENCH, *also}
        yield {n: Member(archive, n, path) for n in names if n in wanted}


def read_d4rl(
    path: pathlib.Path,
    task: tasks.Task | None,
    log: columns.Log,
    limit: int | None,
) -> tuple[list[episodes.Episode], str]:
    """Reads arrays under D4RL's names, with its meaning; see ``d4rl.from_columns``."""
    with members(path) as found:
        names = [n for n in (*d4rl.REQUIRED, *d4rl.OPTIONAL) if n in found]
        arrays = {name: found[name] for name in names}
        recorded = d4rl.from_columns(arrays, path, task, log, limit)
    return recorded, files.file_sha256(path)


def read_ogbench(
    path: pathlib.Path,
    task: tasks.Task | None,
    log: columns.Log,
    limit: int | None,
) -> tuple[list[episodes.Episode], str]:
    """Reads OGBench's arrays: ``terminals`` mark where episodes end, ``masks`` when.

    ``masks`` is 0 where the task was done and no value follows. Without
    ``next_observations`` the last row of an episode holds its last observation alone.

    Raises:
      UserError: without rewards, as OGBench publishes them: a task must give them.
    """
    del task
    with members(path) as found:
        if "rewards" not in found:
            raise errors.UserError(
                f"{path} has no array 'rewards': OGBench's files get them from one of "
                "its tasks; add 'rewards', and 'masks' that are 0 where it is done"
            )
        arrays = ogbench_arrays(found, path, limit)
    return ogbench_episodes(arrays, path, log), files.file_sha256(path)


def ogbench_arrays(
    found: Mapping[str, Member],
    path: pathlib.Path,
    limit: int | None,
    also: tuple[str, ...] = (),
) -> dict[str, np.ndarray]:
    """OGBench's arrays, as many rows as the limit needs.

    Args:
      found: those of the archive.
      path: of the archive, for messages.
      limit: of the transitions, how many of the leading ones are needed.
      also: names of others, as long as those.

    Raises:
      UserError: odd arrays; too large for this machine.
    """
    names = [n for n in (*_OGBENCH, "next_observations") if n in found]
    side_by_side = {name: found[name] for name in names}
    columns.check(side_by_side, path)
    ends = columns.flags(found["terminals"], f"{path}: 'terminals'")
    needed = rows_needed(ends, limit, compact="next_observations" not in found)
    columns.require_room(side_by_side, path, needed)
    return {n: found[n][:needed] for n in (*names, *also) if n in found}


def rows_needed(ends: np.ndarray, limit: int | None, *, compact: bool) -> int:
    """Rows that hold so many transitions.

    Args:
      ends: `[N]` bool, the last row of each episode.
      limit: of the transitions; all rows when ``None``.
      compact: whether the last row of an episode is an observation alone.
    """
    if limit is None:
        return len(ends)
    if not compact:
        return limit
    return int(np.searchsorted(np.cumsum(~ends), limit)) + 2


def ogbench_episodes(
    arrays: Mapping[str, np.ndarray], path: pathlib.Path, log: columns.Log
) -> list[episodes.Episode]:
    """Episodes of what ``ogbench_arrays`` gives, with rewards; see ``read_ogbench``."""
    ends = columns.flags(arrays["terminals"], f"{path}: 'terminals'")
    ends[-1:] = True  # a last row without its mark ends an episode too
    done = np.zeros_like(ends)
    if "masks" in arrays:
        done = ~columns.flags(arrays["masks"], f"{path}: 'masks'")
    following = arrays.get("next_observations")
    if following is None:
        done &= ~ends  # an observation alone, with an action that nobody took
    stored = [a.dtype for n, a in arrays.items() if n.endswith("observations")]
    found = rows.Rows(
        observation=columns.floats(arrays["observations"]),
        action=columns.floats(arrays["actions"]),
        reward=columns.floats(arrays["rewards"]),
        terminal=done,
        end=ends,
        next_observation=None if following is None else columns.floats(following),
        precision=successors.precision(*stored),
        compact=following is None,
    )
    return rows.to_episodes(found, lambda line: log(f"warning: {path}: {line}"))
