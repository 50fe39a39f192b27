"""Arrays side by side, one row a step: the checks that such layouts share."""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

from gem_jax import errors
from gem_jax.data import room

Log = Callable[[str], None]

_ROWS = ("observations", "actions", "next_observations")


class Column(Protocol):
    """An array that is not read yet; ``h5py.Dataset`` is one."""

    @property
    def shape(self) -> tuple[int, ...]:
        """`[N, ...]`."""

    @property
    def dtype(self) -> np.dtype:
        """As stored."""

    def __getitem__(self, rows: slice, /) -> Any:
        """The rows of a slice without a start."""


def check(columns: Mapping[str, Column], path: pathlib.Path | str) -> None:
    """Refuses arrays that cannot be read side by side, before any is read.

    Args:
      columns: ``observations`` and ``actions`` `[N, ...]`, perhaps
        ``next_observations``; all others `[N]`.
      path: for messages.

    Raises:
      UserError: not numbers, images, discrete actions, odd shapes or lengths.
    """
    for name, column in columns.items():
        where = f"{path}: {name!r}"
        if name in _ROWS:
            check_rows(name, column.shape, column.dtype, where)
            continue
        check_numbers(column.dtype, where)
        if len(column.shape) != 1:  # would broadcast to N x N
            raise errors.UserError(
                f"{where} has shape {column.shape}; flatten it to one value a step"
            )
    observations, following = columns["observations"], columns.get("next_observations")
    if following is not None and following.shape != observations.shape:
        raise errors.UserError(
            f"{path}: 'next_observations' has shape {following.shape}, 'observations' "
            f"{observations.shape}; make them alike, or remove 'next_observations'"
        )
    lengths = {name: column.shape[0] for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise errors.UserError(
            f"{path}: arrays differ in length: {lengths}; cut them to one length"
        )


def check_numbers(dtype: np.dtype, where: str) -> None:
    """Refuses what is no number or flag.

    Raises:
      UserError: begins with ``where``.
    """
    if dtype.kind not in "fiub":
        raise errors.UserError(f"{where} holds {dtype}, not numbers; convert it")


def check_rows(name: str, shape: tuple[int, ...], dtype: np.dtype, where: str) -> None:
    """Refuses images and discrete actions, which no algorithm here learns from.

    Args:
      name: ``actions``; anything else is an observation.
      shape: of the array, a step a row.
      dtype: as stored.
      where: for the message.

    Raises:
      UserError: begins with ``where``.
    """
    check_numbers(dtype, where)
    if name == "actions" and dtype.kind != "f":
        raise errors.UserError(
            f"{where} holds {dtype}, as discrete actions are stored; only continuous "
            "ones are learned, stored as floats"
        )
    if name != "actions" and (dtype == np.uint8 or len(shape) > 2):
        raise errors.UserError(
            f"{where} holds images or the like, {shape[1:]} {dtype} a step; only rows "
            "of numbers are learned from"
        )
    if len(shape) != 2:
        raise errors.UserError(f"{where} has shape {shape}; store a row a step")


def require_room(
    columns: Mapping[str, Column], path: pathlib.Path | str, rows: int | None
) -> None:
    """Refuses what would not fit in memory; see ``room.require``."""
    steps, observation_size = columns["observations"].shape
    action_size = columns["actions"].shape[1]
    room.require(str(path), steps, observation_size, action_size, rows)


def floats(column: Column, rows: int | None = None) -> np.ndarray:
    """The leading rows as float32; what is too large becomes infinite."""
    with np.errstate(over="ignore"):  # an infinity is refused later, with its step
        return np.asarray(column[:rows]).astype(np.float32, copy=False)


def flags(column: Column, where: str, rows: int | None = None) -> np.ndarray:
    """`[N]` bool of the leading rows; some files store floats.

    Raises:
      UserError: something else than 0 and 1.
    """
    array = np.asarray(column[:rows])
    set_ = array == 1
    other = np.flatnonzero(~set_ & (array != 0))
    if other.size:
        raise errors.UserError(
            f"{where} holds {array[other[0]]} at step {other[0]}; store 0 or 1"
        )
    return set_


def labels(column: np.ndarray, where: str) -> np.ndarray:
    """`[N]` int32, such as which policy acted; some files store floats.

    Raises:
      UserError: something else than whole numbers of that type.
    """
    with np.errstate(invalid="ignore"):  # such a number is refused
        whole = np.asarray(column).astype(np.int32)
    other = np.flatnonzero(whole != column)
    if other.size:
        raise errors.UserError(
            f"{where} holds {column[other[0]]} at step {other[0]}; number them from 0"
        )
    return whole
