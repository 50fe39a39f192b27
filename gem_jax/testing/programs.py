"""Functions as programs: called by hand, each of their operations would be compiled."""

from __future__ import annotations

from typing import Any, NamedTuple, TypeVar, cast

import jax

_Functions = TypeVar("_Functions", bound=NamedTuple)
_NAMES = ("init", "apply", "update", "act", "refresh", "prepare", "lowest")


def compiled(functions: _Functions) -> _Functions:
    """Networks, learners, phases or algorithms, what they compute in one piece each."""
    found: dict[str, Any] = {
        name: jax.jit(getattr(functions, name))
        for name in _NAMES
        if getattr(functions, name, None) is not None
    }
    return cast(_Functions, functions._replace(**found))
