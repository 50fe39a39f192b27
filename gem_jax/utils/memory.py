"""How much memory this machine has left."""

from __future__ import annotations

import os
import pathlib


def free_bytes() -> int:
    """Bytes that a program may still take; all that there are where none are counted.

    That is outside Linux.
    """
    try:
        lines = pathlib.Path("/proc/meminfo").read_text().splitlines()
    except OSError:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    kilobytes = dict(line.split(":") for line in lines)["MemAvailable"]
    return 1024 * int(kilobytes.split()[0])
