"""Standardization over a candidate set, and of observations."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from gem_jax.types import Array

STD_FLOOR = 1e-6  # Eq. 2: below this spread a set counts as constant
_OBSERVATION_STD_OFFSET = 1e-3  # the IQL family's; a constant feature divides by this


def standardize(values: Array) -> Array:
    """(x - mean) / max(std, 1e-6) over the last axis, population std (Eq. 2, 10, 11).

    A constant set, a set of one included, gives zeros.
    """
    # The maximum comes off first: the result is the same, and log-densities of -1e6
    # keep their digits.
    shifted = values - jnp.max(values, axis=-1, keepdims=True)
    centered = shifted - jnp.mean(shifted, axis=-1, keepdims=True)
    variance = jnp.mean(centered**2, axis=-1, keepdims=True)
    # max(std, floor), with the floor inside the root so that gradients stay finite.
    return centered / jnp.sqrt(jnp.maximum(variance, STD_FLOOR**2))


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
        mean=jnp.zeros(size), std=jnp.ones(size) - _OBSERVATION_STD_OFFSET
    )


def fit_normalizer(observations: Array) -> Normalizer:
    """Mean and population std of `[D, O]` observations."""
    return Normalizer(
        mean=jnp.mean(observations, axis=0), std=jnp.std(observations, axis=0)
    )
