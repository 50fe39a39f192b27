"""The program that runs."""

from __future__ import annotations

import pathlib
import sys


def name() -> str:
    """Of the command, whether it is a module or a package; for messages."""
    path = pathlib.Path(sys.argv[0])
    return path.parent.name if path.stem == "__main__" else path.stem
