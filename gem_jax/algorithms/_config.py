"""Checks that the configuration classes share."""

from __future__ import annotations

from typing import Any


def positive(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is above zero."""
    for name in names:
        if not getattr(config, name) > 0:
            raise ValueError(f"{name} must be positive, got {getattr(config, name)!r}")


def not_negative(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field is at least zero."""
    for name in names:
        if getattr(config, name) < 0:
            raise ValueError(f"{name} must be >= 0, got {getattr(config, name)!r}")


def fraction(config: Any, *names: str) -> None:
    """Raises ``ValueError`` unless each named field lies strictly between 0 and 1."""
    for name in names:
        if not 0 < getattr(config, name) < 1:
            raise ValueError(f"{name} must be in (0, 1), got {getattr(config, name)!r}")
