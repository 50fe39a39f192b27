"""Candidates that follow the score uphill."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gem_jax.inference.candidates import BOUND
from gem_jax.types import Array

_LEAST_SLOPE = 1e-12  # a flat score leads nowhere


def refine(
    candidates: Array,
    total: Array,
    objective: Callable[[Array], Array],
    *,
    num_refined: int,
    num_steps: int,
    step_size: Array | float,
) -> Array:
    """The best candidates, moved along the gradient of a score.

    Each step has the same length, whatever the score's units, and ends inside the box.
    The score may have fallen: join what comes out to the candidates and choose among
    all.

    Args:
      candidates: `[C, A]`.
      total: `[C]` their scores; the highest are refined.
      objective: differentiable, of one action `[A]`, to a number.
      num_refined: how many, static; at most C are.
      num_steps: of each, static.
      step_size: length of a step, units of the action.

    Returns:
      `[R, A]` in (-1, 1).
    """
    _, best = jax.lax.top_k(total, min(num_refined, total.shape[0]))
    actions = candidates[best]
    slope = jax.vmap(jax.grad(objective))
    for _ in range(num_steps):
        gradient = slope(actions)
        length = jnp.linalg.norm(gradient, axis=-1, keepdims=True)
        direction = gradient / jnp.maximum(length, _LEAST_SLOPE)
        actions = jnp.clip(actions + step_size * direction, -BOUND, BOUND)
    return actions
