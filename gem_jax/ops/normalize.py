"""Standardization over a candidate set, and of observations."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array

STD_FLOOR = 1e-6  # Eq. 2: below this spread a set counts as constant
# Squares of 1e30 and of the floor are both float32 in units of this; the power of two
# changes no digit.
_SCALE = 2.0**-40
_OBSERVATION_STD_OFFSET = 1e-3  # the IQL family's; a constant feature divides by this


def at_least_float32(values: Array) -> Array:
    """The values as float32, or as they are where that is wider."""
    values = jnp.asarray(values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def standardize(values: Array, where: Array | None = None) -> Array:
    """(x - mean) / max(std, 1e-6) over the last axis, population std (Eq. 2, 10, 11).

    A constant set, a set of one included, gives zeros. The result is at least float32.

    Args:
      values: `[..., C]`, any of them not finite.
      where: `[..., C]` bool, which of the finite ones make mean and std; all of them
        by default. All others become NaN: there may be nothing to measure them by.

    Raises:
      ValueError: shapes disagree.
    """
    values = at_least_float32(values)
    _shapes.axes("values", values, "[..., C]")
    counted = jnp.isfinite(values)
    if where is not None:
        _shapes.same(values=values, where=where)
        counted &= where
    number = jnp.maximum(jnp.sum(counted, axis=-1, keepdims=True, dtype=jnp.int32), 1)

    def mean(x: Array) -> Array:
        return jnp.sum(x, axis=-1, keepdims=True) / number

    # The maximum comes off first: the result is the same, and log-densities of -1e6
    # keep their digits.
    top = jnp.max(values, axis=-1, keepdims=True, initial=-jnp.inf, where=counted)
    shifted = jnp.where(counted, (values - jax.lax.stop_gradient(top)) * _SCALE, 0.0)
    centered = jnp.where(counted, shifted - mean(shifted), 0.0)
    # max(std, floor), with the floor inside the root so that gradients stay finite.
    variance = jnp.maximum(mean(centered**2), (STD_FLOOR * _SCALE) ** 2)
    return jnp.where(counted, centered / jnp.sqrt(variance), jnp.nan)


class Normalizer(NamedTuple):
    """Observation statistics; they travel with the weights.

    Attributes:
      mean: `[O]`.
      std: `[O]`.
    """

    mean: Array
    std: Array

    def __call__(self, observation: Array) -> Array:
        """(s - mean) / (std + 1e-3), `[..., O]`.

        Raises:
          ValueError: the observation has another size than the statistics.
        """
        _shapes.axes("mean", self.mean, "[O]")
        _shapes.same(mean=self.mean, std=self.std)
        _shapes.axes("observation", observation, "[..., O]")
        wanted = (*observation.shape[:-1], *self.mean.shape)
        _shapes.fits("observation", observation, wanted, f"mean {self.mean.shape}")
        mean = jnp.broadcast_to(self.mean, observation.shape)
        std = jnp.broadcast_to(self.std, observation.shape)
        return (observation - mean) / (std + _OBSERVATION_STD_OFFSET)


def identity_normalizer(size: int) -> Normalizer:
    """Leaves observations as they are."""
    return Normalizer(
        mean=jnp.zeros(size, jnp.float32),
        std=jnp.ones(size, jnp.float32) - _OBSERVATION_STD_OFFSET,
    )


def fit_normalizer(observations: Array) -> Normalizer:
    """Mean and population std of `[D, O]` observations.

    Raises:
      ValueError: they have other axes.
    """
    _shapes.axes("observations", observations, "[D, O]")
    return Normalizer(
        mean=jnp.mean(observations, axis=0), std=jnp.std(observations, axis=0)
    )
