"""Reads the spaces that Minari's metadata describe, as numbers and nothing else."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from gem_jax import errors

_DISCRETE = ("Discrete", "MultiDiscrete", "MultiBinary")
_IN_PARTS = ("Dict", "Tuple")  # what these hold is seen in the file, and said there

# What sizes and numbers of any size lead to.
_TOO_LARGE = (MemoryError, OverflowError, RecursionError)


class Box(NamedTuple):
    """A flat space of real numbers.

    Attributes:
      low: bound of each component, perhaps infinite.
      high: the same above.
    """

    low: tuple[float, ...]
    high: tuple[float, ...]


def parse(metadata: Mapping[str, Any], key: str, where: str) -> Box | None:
    """The space under ``key``; ``None`` where there is none, or one of several parts.

    Args:
      metadata: of a Minari dataset.
      key: ``"observation_space"`` or ``"action_space"``.
      where: the dataset, for messages.

    Raises:
      UserError: discrete, of images or of text; or no description of a space.
    """
    if key not in metadata:
        return None
    what = f"{where}: its {key.replace('_', ' ')}"
    try:
        space = metadata[key]
        space = json.loads(space) if isinstance(space, str) else space
        kind = space["type"]
        if kind in _IN_PARTS:
            return None
        if kind == "Box":
            shape, image = space["shape"], space["dtype"] == "uint8"
            if len(shape) == 1 and not image:
                return _box(space, shape[0])
    except (KeyError, TypeError, ValueError, *_TOO_LARGE) as error:
        raise errors.UserError(f"{what} cannot be read ({error!r})") from None
    if kind in _DISCRETE:
        raise errors.UserError(f"{what} is {kind}; only continuous ones are learned")
    if kind == "Box":
        raise errors.UserError(
            f"{what} holds images or the like, {tuple(shape)} {space['dtype']}; only "
            "rows of numbers are learned from"
        )
    raise errors.UserError(f"{what} is {kind}; only flat ones (Box) are read")


def parts(metadata: Mapping[str, Any], key: str) -> dict[str, str]:
    """The kind of each part of a Dict space, in its order; empty of any other.

    Args:
      metadata: of a Minari dataset, whose spaces have been parsed.
      key: see ``parse``.
    """
    try:
        space = metadata[key]
        space = json.loads(space) if isinstance(space, str) else space
        return {str(k): str(part["type"]) for k, part in space["subspaces"].items()}
    except (AttributeError, KeyError, TypeError, ValueError, *_TOO_LARGE):
        return {}


def _box(space: Mapping[str, Any], size: int) -> Box:
    bounds = []
    for name in ("low", "high"):
        value = space[name]
        values = value if isinstance(value, list) else [value] * size
        if len(values) != size:
            raise ValueError(f"{len(values)} bounds for {size} components")
        bounds.append(tuple(map(float, values)))
    return Box(*bounds)
