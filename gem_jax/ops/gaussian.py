"""Diagonal Gaussians over actions."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.types import Array, PRNGKey


class Gaussian(NamedTuple):
    """A diagonal Gaussian with batch axes `[...]`.

    Attributes:
      mean: `[..., A]`.
      log_std: `[..., A]`.
    """

    mean: Array
    log_std: Array


def log_prob(gaussian: Gaussian, action: Array) -> Array:
    """log N(a; mu, diag sigma^2), `[...]` in nats."""
    z = (action - gaussian.mean) * jnp.exp(-gaussian.log_std)
    constant = 0.5 * action.shape[-1] * math.log(2.0 * math.pi)
    return -jnp.sum(0.5 * z**2 + gaussian.log_std, axis=-1) - constant


def sample(key: PRNGKey, gaussian: Gaussian) -> Array:
    """One unclipped draw for each batch row, `[..., A]`."""
    noise = jax.random.normal(key, gaussian.mean.shape, jnp.float32)
    return gaussian.mean + jnp.exp(gaussian.log_std) * noise
