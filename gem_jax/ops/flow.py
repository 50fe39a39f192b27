"""Straight flows from noise, at time 0, to actions, at time 1 (rectified flow)."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array

FieldFn = Callable[[Array, Array], Array]


def between(noise: Array, action: Array, t: Array) -> Array:
    """(1 - t) noise + t action, `[..., A]` at times `[...]`."""
    _shapes.same(action=action, noise=noise)
    _shapes.fits("t", t, action.shape[:-1], f"action {action.shape}")
    share = t[..., None]
    return (1.0 - share) * noise + share * action


def euler(field: FieldFn, start: Array, num_steps: int) -> Array:
    """Follows a field from time 0 to 1 in equal steps.

    Args:
      field: (x `[..., A]`, t `[]`) to the velocity, of the same shape.
      start: `[..., A]`.
      num_steps: T, static, at least 1.

    Returns:
      `[..., A]`, not clipped.
    """

    def step(x: Array, t: Array) -> tuple[Array, None]:
        return x + field(x, t) / num_steps, None

    times = jnp.arange(num_steps, dtype=jnp.float32) / num_steps
    return jax.lax.scan(step, start, times)[0]
