"""Schedules over the steps of an episode."""

from __future__ import annotations

import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array


def cosine(
    t: Array, start: Array | float, end: Array | float, horizon: Array | float
) -> Array:
    """end + (start - end) (1 + cos(pi min(t, H) / H)) / 2; constant after H.

    The GEM paper words its support weight this way without printing the formula.

    Args:
      t: step inside the episode, any shape.
      start: value at t = 0; it and the next two broadcast against t.
      end: value from t = horizon on.
      horizon: H, steps.

    Returns:
      The shape of t; float32, also where the host's default is wider.

    Raises:
      ValueError: a setting has axes that t has not.
    """
    t, start, end, horizon = (
        jnp.asarray(x, jnp.float32) for x in (t, start, end, horizon)
    )
    for name, value in (("start", start), ("end", end), ("horizon", horizon)):
        _shapes.broadcasts(name, value, t.shape, f"t {t.shape}")
    progress = jnp.clip(t / jnp.maximum(horizon, 1), 0.0, 1.0)
    return end + (start - end) * 0.5 * (1.0 + jnp.cos(jnp.pi * progress))
