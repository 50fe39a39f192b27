"""What is made of the same settings is made once, and what is jitted compiled once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, TypeVar, cast

_Make = TypeVar("_Make", bound=Callable[..., Any])
_KEPT = 16  # results of a function


def kept(make: _Make) -> _Make:
    """The last results of ``make``, so that the same arguments compile no more.

    Arguments are positional. What cannot be hashed, as settings that hold lists, gets
    a new result every time.
    """
    cached = functools.lru_cache(_KEPT)(make)

    @functools.wraps(make)
    def get(*arguments: Any) -> Any:
        try:
            hash(arguments)
        except TypeError:
            return make(*arguments)
        return cached(*arguments)

    return cast(_Make, get)
