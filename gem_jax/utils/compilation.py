"""How programs are compiled."""

from __future__ import annotations

import os

import jax

_LEVEL = "xla_backend_optimization_level"


def quickly() -> dict[str, bool | int | str] | None:
    """Options for a program that runs once; ``None`` where XLA's own are left alone.

    The same numbers after less compilation, on CPUs. A level in the user's
    ``XLA_FLAGS`` decides instead.
    """
    if jax.default_backend() != "cpu" or _LEVEL in os.environ.get("XLA_FLAGS", ""):
        return None
    return {_LEVEL: 1}
