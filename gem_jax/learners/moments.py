"""Mean and spread of a quantity over the data, averaged along training."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from gem_jax.types import Array

_RATE = 1e-3  # about the last thousand batches count
_LEAST_STD = 1e-6


class Moments(NamedTuple):
    """Exponential averages over batches, `[]` each.

    Attributes:
      mean: of the values, times ``weight``.
      square: of their squares, times ``weight``.
      weight: how much of an average there is yet, from 0 to 1.
    """

    mean: Array
    square: Array
    weight: Array


def nothing() -> Moments:
    """Before the first batch: no leaf shares a buffer, so that all can be donated."""
    return Moments(*(jnp.zeros((), jnp.float32) for _ in range(3)))


def update(moments: Moments, values: Array) -> Moments:
    """With one batch more, `[B]`."""
    new = Moments(
        jnp.mean(values), jnp.mean(values**2), jnp.ones((), moments.weight.dtype)
    )
    return Moments(
        *(old + _RATE * (now - old) for old, now in zip(moments, new, strict=True))
    )


def of(values: Array) -> Moments:
    """Of all there is, `[D]`."""
    one = jnp.ones((), jnp.float32)
    return Moments(jnp.mean(values), jnp.mean(values**2), one)


def mean_and_std(moments: Moments) -> tuple[Array, Array]:
    """`[]` each; 0 and 1 before the first batch."""
    begun = moments.weight > 0.0
    weight = jnp.where(begun, moments.weight, 1.0)
    mean, square = moments.mean / weight, moments.square / weight
    std = jnp.sqrt(jnp.maximum(square - mean**2, _LEAST_STD**2))
    return mean, jnp.where(begun, std, 1.0)
