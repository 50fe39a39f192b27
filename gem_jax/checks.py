"""Checks that configurations and algorithms share."""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import Any

from gem_jax import errors
from gem_jax.types import Transition

_TOO_LARGE = 2**31  # whole numbers are int32 in compiled programs


def has_trajectories(what: str, dataset: Transition) -> None:
    """``extras`` tell the trajectory of each step.

    Raises:
      UserError: they do not; begins with ``what`` needs them.
    """
    if "episode" not in dataset.extras:
        raise errors.UserError(
            f'{what} dataset.extras["episode"], the trajectory of each step'
        )


def positive(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is above zero."""
    for name in names:
        if not 0 < getattr(config, name) < math.inf:
            raise ValueError(f"{name} must be positive, got {getattr(config, name)!r}")
        not_too_large(config, name)


def not_negative(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is at least zero."""
    for name in names:
        if not 0 <= getattr(config, name) < math.inf:
            raise ValueError(f"{name} must be >= 0, got {getattr(config, name)!r}")
        not_too_large(config, name)


def not_too_large(config: Any, name: str) -> None:
    """Raises ``ValueError`` where the field is a whole number beyond int32."""
    value = getattr(config, name)
    if isinstance(value, int) and value >= _TOO_LARGE:
        raise ValueError(f"{name} must be below {_TOO_LARGE:,}, got {value:,}")


def widths(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each field is a non-empty tuple of positive ints."""
    for name in names:
        sizes = getattr(config, name)
        if not sizes or not all(isinstance(s, int) and s > 0 for s in sizes):
            raise ValueError(f"{name} must be positive integers, got {sizes!r}")


def finite(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is neither infinite nor NaN."""
    for name in names:
        if not math.isfinite(getattr(config, name)):
            raise ValueError(f"{name} must be finite, got {getattr(config, name)!r}")


def one_of(config: Any, name: str, known: Collection[str]) -> None:
    """Raises ``ValueError``, which lists what is known, unless the field is of it."""
    if getattr(config, name) not in known:
        raise ValueError(
            f"{name} must be one of {', '.join(known)}, got {getattr(config, name)!r}"
        )


def ordered(config: Any, low: str, high: str) -> None:
    """Raises ``ValueError`` unless both are finite, the first not above the second."""
    finite(config, low, high)
    if not getattr(config, low) <= getattr(config, high):
        raise ValueError(
            f"{low}={getattr(config, low)!r} must not be above "
            f"{high}={getattr(config, high)!r}"
        )


def fraction(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field lies strictly between 0 and 1."""
    for name in names:
        if not 0 < getattr(config, name) < 1:
            raise ValueError(f"{name} must be in (0, 1), got {getattr(config, name)!r}")


def share(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is at least 0 and below 1."""
    for name in names:
        if not 0 <= getattr(config, name) < 1:
            raise ValueError(f"{name} must be in [0, 1), got {getattr(config, name)!r}")
