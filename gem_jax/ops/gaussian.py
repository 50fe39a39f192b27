"""Diagonal Gaussians over actions."""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
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
    """log N(a; mu, diag sigma^2), `[..., A]` to `[...]` in nats.

    Raises:
      ValueError: the action has not the shape of the mean.
    """
    _check(gaussian)
    shape = gaussian.mean.shape
    _shapes.fits("action", action, shape, f"gaussian.mean {shape}")
    z = (action - gaussian.mean) * jnp.exp(-gaussian.log_std)
    constant = 0.5 * action.shape[-1] * math.log(2.0 * math.pi)
    return -jnp.sum(0.5 * z**2 + gaussian.log_std, axis=-1) - constant


def sample(key: PRNGKey, gaussian: Gaussian) -> Array:
    """One unclipped draw for each batch row, `[..., A]`."""
    _check(gaussian)
    noise = jax.random.normal(key, gaussian.mean.shape, jnp.float32)
    return gaussian.mean + jnp.exp(gaussian.log_std) * noise


def squashed_sample(key: PRNGKey, gaussian: Gaussian) -> tuple[Array, Array]:
    """tanh of a draw for each batch row, `[..., A]`, and its log-density `[...]`.

    The density is that of the squashed variable (SAC, appendix C), with the logarithm
    of tanh's slope in a form that stays finite where float32 has no slope left.
    """
    _check(gaussian)
    noise = jax.random.normal(key, gaussian.mean.shape, jnp.float32)
    raw = gaussian.mean + jnp.exp(gaussian.log_std) * noise
    # By the noise itself: (raw - mean) / std would be rounding where std is small.
    log_normal = -0.5 * (noise**2 + math.log(2.0 * math.pi)) - gaussian.log_std
    log_slope = 2.0 * (math.log(2.0) - raw - jax.nn.softplus(-2.0 * raw))
    return jnp.tanh(raw), jnp.sum(log_normal - log_slope, axis=-1)


def _check(gaussian: Gaussian) -> None:
    shape = gaussian.mean.shape
    _shapes.axes("gaussian.mean", gaussian.mean, "[..., A]")
    _shapes.fits("gaussian.log_std", gaussian.log_std, shape, f"gaussian.mean {shape}")
