"""Refuses shapes that would broadcast in silence. Shapes are static: no run time."""

from __future__ import annotations

import jax.numpy as jnp

from gem_jax.types import Array

Shape = tuple[int, ...]


def same(**arrays: Array) -> None:
    """All arguments have the shape of the first.

    Raises:
      ValueError: one has not.
    """
    (first, reference), *others = arrays.items()
    for name, array in others:
        fits(name, array, jnp.shape(reference), f"{first} {jnp.shape(reference)}")


def scalar(**values: Array | float) -> None:
    """All arguments are single numbers, traced or not.

    Raises:
      ValueError: one has axes.
    """
    for name, value in values.items():
        if jnp.shape(value):
            raise ValueError(f"{name} must be a scalar (), got {jnp.shape(value)}")


def axes(name: str, array: Array, layout: str) -> None:
    """The argument has the axes of ``layout``, such as `[C, A]`; `...` is any number.

    Raises:
      ValueError: it has fewer or more.
    """
    letters = layout.strip("[]").split(", ")
    count = jnp.ndim(array)
    if count < len(letters) - 1 if "..." in letters else count != len(letters):
        raise ValueError(f"{name} must be {layout}, got {jnp.shape(array)}")


def fits(name: str, array: Array, shape: Shape, other: str) -> None:
    """The argument has the shape that another one asks for.

    Args:
      name: of the argument.
      array: it.
      shape: wanted.
      other: the other argument, with its own shape, for the message.

    Raises:
      ValueError: it has another shape.
    """
    if jnp.shape(array) != shape:
        raise ValueError(
            f"{name} must be {shape} to fit {other}, got {jnp.shape(array)}"
        )


def broadcasts(name: str, value: Array | float, shape: Shape, other: str) -> None:
    """Like ``fits``, for an argument that may lack axes or have them of size 1.

    Raises:
      ValueError: broadcasting fails, or would add to the shape.
    """
    own = jnp.shape(value)
    pairs = zip(reversed(own), reversed(shape))
    if len(own) > len(shape) or any(a not in (1, b) for a, b in pairs):
        raise ValueError(f"{name} must broadcast to {shape} to fit {other}, got {own}")
