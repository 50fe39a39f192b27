"""How single fields of a task are told from data and what lies beside them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np

from gem_jax import errors
from gem_jax.data import spaces, validate

_UNIT = 1.0 + 1e-3  # as far as rounding may carry an action beyond [-1, 1]
_NARROW = 1e-3  # of the largest value: bounds nearer than that lie too near for float32


class Outline(NamedTuple):
    """What a task is told from.

    Attributes:
      observation_size: `O`.
      horizon: steps of the longest episode.
      num_transitions: `D`.
      low: `[A]` float64 least finite actions; NaN where a component is never finite.
      high: `[A]` the largest.
    """

    observation_size: int
    horizon: int
    num_transitions: int
    low: np.ndarray
    high: np.ndarray


def outline(parts: Iterable[tuple[int, np.ndarray, int]], where: str) -> Outline:
    """The outline of some episodes, which need not be in memory at once.

    Args:
      parts: of each episode the size of an observation, the actions `[T, A]`, and the
        steps that a reader left out.
      where: the source, for messages.

    Raises:
      UserError: there are no transitions, or actions of several sizes.
    """
    sizes, steps, horizon = [], 0, 0
    low, high = [], []
    for observation_size, actions, left_out in parts:
        if not len(actions):
            continue
        sizes.append((observation_size, *actions.shape[1:]))
        steps += len(actions)
        horizon = max(horizon, len(actions) + left_out)
        finite = np.where(np.isfinite(actions), actions, np.nan)
        low.append(np.fmin.reduce(finite))
        high.append(np.fmax.reduce(finite))
    if not sizes:
        raise errors.UserError(f"{where} holds no transitions; nothing to tell a task")
    if len(set(sizes)) > 1:
        raise errors.UserError(
            f"{where}: sizes of observation and action differ between episodes, "
            f"{sorted(set(sizes))[:2]}; make them alike"
        )
    lowest, highest = np.fmin.reduce(low), np.fmax.reduce(high)
    return Outline(sizes[0][0], horizon, steps, _decimals(lowest), _decimals(highest))


def _decimals(values: np.ndarray) -> np.ndarray:
    """The numbers as a decimal says them, float64."""
    return np.array([float(str(value)) for value in values.astype(np.float32)])


def scores(metadata: Mapping[str, Any]) -> tuple[float | None, float | None]:
    """Minari's reference scores, or None twice: both, and the lower one first."""
    low, high = (_score(metadata, f"ref_{end}_score") for end in ("min", "max"))
    if low is None or high is None or low >= high:
        return None, None
    return low, high


def _score(metadata: Mapping[str, Any], key: str) -> float | None:
    """A finite number of the metadata, or None."""
    value = metadata.get(key)
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of JSON has any size
        number = math.inf
    return number if math.isfinite(number) else None


def bounds(
    outlined: Outline,
    metadata: Mapping[str, Any],
    of: str,
    where: str,
    *,
    unit_actions: bool,
    environment: str | None,
) -> tuple[spaces.Box, str]:
    """The box of actions, and a line on how it was told.

    The data lie in it, but for a box that an environment sets.

    Args:
      outlined: of the data.
      metadata: Minari's, or none.
      of: ``"file"``, or ``"data"``, which passes over the metadata.
      where: the source, for messages.
      unit_actions: whether the layout means actions to lie in [-1, 1].
      environment: to evaluate in; None where there is none.

    Raises:
      UserError: bounds of the metadata are infinite, or of no use; a component is never
        finite, or too large.
    """
    low, high = outlined.low, outlined.high
    box = spaces.parse(metadata, "action_space", where) if of == "file" else None
    if box is not None:
        return _beside(box, low, high, where, environment)
    largest = np.maximum(np.abs(low), np.abs(high))
    if not largest.size:
        raise errors.UserError(f"{where}: actions have no components")
    if not np.isfinite(largest).all():
        raise errors.UserError(f"{where}: a component of the actions is never finite")
    if unit_actions and largest.max() <= _UNIT:
        size = len(low)
        return spaces.Box((-1.0,) * size, (1.0,) * size), "as the layout means them"
    note = "the extremes of the data; put the actuators' own where you know them"
    narrow = _are_narrow(low, high)
    if narrow.any():
        room = np.where(narrow, np.maximum(1.0, _NARROW * largest), 0.0)
        low, high = low - room, high + room
        note += f"; components {_places(narrow)} hardly change: some room around them"
    if max(-low.min(), high.max()) > validate.LARGEST:
        raise errors.UserError(
            f"{where}: actions reach {largest.max():g}; rescale them to less than "
            f"{validate.LARGEST:g}"
        )
    return spaces.Box(tuple(low.tolist()), tuple(high.tolist())), note


def _beside(
    box: spaces.Box,
    low: np.ndarray,
    high: np.ndarray,
    where: str,
    environment: str | None,
) -> tuple[spaces.Box, str]:
    """The box of the metadata, or one around it and the data."""
    least, most = np.array(box)
    usable = least.shape == low.shape and np.abs(box).max() <= validate.LARGEST
    if not usable or _are_narrow(least, most).any():
        raise errors.UserError(
            f"{where}: its action space has no finite bounds, or none that fit; "
            "--bounds=data takes the extremes of the data"
        )
    note = "of the action space beside the data"
    slack = validate.ACTION_TOLERANCE * (most - least) / 4  # half of what is let pass
    outside = (low < least - slack) | (high > most + slack)
    if not outside.any():
        return box, note
    beyond = f"components {_places(outside)} of the data lie outside"
    if environment is not None:  # whose bounds these are
        return box, f"{note}; {beyond}: train with --repair=clip_actions"
    least, most = np.fmin(least, low), np.fmax(most, high)
    widened = spaces.Box(tuple(least.tolist()), tuple(most.tolist()))
    return widened, f"{note}; {beyond}, so that it is widened to them"


def _are_narrow(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """`[A]` bool: bounds between which float32 has little room, or none."""
    largest = np.maximum(np.abs(low), np.abs(high))
    return (high <= low) | (high - low < _NARROW * largest)


def _places(marked: np.ndarray) -> list[int]:
    return np.flatnonzero(marked).tolist()
