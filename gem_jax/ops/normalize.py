"""Standardization over a candidate set, and of observations."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.types import Array

STD_FLOOR = 1e-6  # Eq. 2: below this spread a set counts as constant
_OBSERVATION_STD_OFFSET = 1e-3  # the IQL family's; a constant feature divides by this


def at_least_float32(values: Array) -> Array:
    """The values as float32, or as they are where that is wider."""
    values = jnp.asarray(values)
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))


def standardize(values: Array, where: Array | None = None) -> Array:
    """(x - mean) / max(std, 1e-6) over the last axis, population std (Eq. 2, 10, 11).

    A constant set, a set of one included, gives zeros. The result is at least float32.

    Args:
      values: `[..., C]`. What is not finite stays what it is, and counts for nothing.
      where: `[..., C]` bool, which of the finite ones make mean and std; all of them
        by default.
    """
    values = at_least_float32(values)
    finite = jnp.isfinite(values)
    counted = finite if where is None else finite & where
    number = jnp.maximum(jnp.sum(counted, axis=-1, keepdims=True), 1)
    # The maximum comes off first and the range is divided by: the result is the same,
    # log-densities of -1e6 keep their digits, and squares of -1e30 do not overflow.
    top = jnp.max(values, axis=-1, keepdims=True, initial=-jnp.inf, where=counted)
    top = jax.lax.stop_gradient(jnp.where(jnp.isfinite(top), top, 0.0))
    shifted = jnp.where(finite, values - top, 0.0)
    spread = jnp.max(jnp.where(counted, -shifted, 0.0), axis=-1, keepdims=True)
    spread = jax.lax.stop_gradient(jnp.where(spread > 0.0, spread, 1.0))
    scaled = shifted / spread

    def mean(x: Array) -> Array:
        return jnp.sum(jnp.where(counted, x, 0.0), axis=-1, keepdims=True) / number

    centered = scaled - mean(scaled)
    # max(std, floor), with the floor inside the root so that gradients stay finite.
    variance = jnp.maximum(mean(centered**2), (STD_FLOOR / spread) ** 2)
    return jnp.where(finite, centered / jnp.sqrt(variance), values)


class Normalizer(NamedTuple):
    """Observation statistics; they travel with the weights.

    Attributes:
      mean: `[O]`.
      std: `[O]`.
    """

    mean: Array
    std: Array

    def __call__(self, observation: Array) -> Array:
        """(s - mean) / (std + 1e-3), `[..., O]`."""
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
    """Mean and population std of `[D, O]` observations."""
    return Normalizer(
        mean=jnp.mean(observations, axis=0), std=jnp.std(observations, axis=0)
    )
