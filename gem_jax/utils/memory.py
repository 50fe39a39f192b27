"""How much memory this process may still take."""

from __future__ import annotations

import os
import pathlib
from typing import NamedTuple

_ROOT = pathlib.Path("/")


class _Files(NamedTuple):
    """Where a group's limit and use lie, and caches of files that can be dropped."""

    limit: str
    used: str
    droppable: tuple[str, str]


# Of control groups' two versions.
_FIRST = _Files(
    "memory.limit_in_bytes",
    "memory.usage_in_bytes",
    ("total_active_file", "total_inactive_file"),
)
_SECOND = _Files("memory.max", "memory.current", ("active_file", "inactive_file"))


def free_bytes(root: pathlib.Path = _ROOT) -> int:
    """Bytes that a program may still take; all that there are where none are counted.

    The least of what the machine has and what the groups of this process may take: a
    container's limit is that of its group. Nothing is counted outside Linux.

    Args:
      root: of the files that the system tells it by.
    """
    try:
        lines = (root / "proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = dict(line.split(":") for line in lines)["MemAvailable"]
    machine = 1024 * int(kilobytes.split()[0])
    return max(0, min([machine, *_left_of_groups(root)]))


def _left_of_groups(root: pathlib.Path) -> list[int]:
    """What each control group of this process may take, where it has a limit."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    left = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if not controllers:
            top, files = root / "sys/fs/cgroup", _SECOND
        elif "memory" in controllers.split(","):
            top, files = root / "sys/fs/cgroup/memory", _FIRST
        else:
            continue
        # In a container the path may be the host's, and the top is its own group.
        for folder in (top, *_within(top, path)):
            found = _left(folder, files)
            left += [] if found is None else [found]
    return left


def _within(top: pathlib.Path, path: str) -> list[pathlib.Path]:
    """The folders of a group and of those above it, below the top."""
    parts = pathlib.PurePosixPath(path.lstrip("/")).parts
    return [top.joinpath(*parts[:n]) for n in range(1, len(parts) + 1)]


def _left(group: pathlib.Path, files: _Files) -> int | None:
    """What a group may still take, or None without a limit."""
    try:
        limit = int((group / files.limit).read_text())  # "max" is none
        used = int((group / files.used).read_text())
        lines = (group / "memory.stat").read_text().splitlines()
        counts = dict(map(str.split, lines))
        return limit - used + sum(int(counts[name]) for name in files.droppable)
    except (OSError, ValueError, KeyError):
        return None
