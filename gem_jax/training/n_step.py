"""Transitions that span several steps."""

from __future__ import annotations

import jax.numpy as jnp

from gem_jax.ops import returns
from gem_jax.types import Transition

DISCOUNT = "discount"  # the extra by which learners weigh what follows a transition


def span(dataset: Transition, n: int, discount: float) -> Transition:
    """Each step with the rewards of up to ``n``, and the state after the last of them.

    Fewer where a terminal or the end of the trajectory comes first. The extra
    ``discount`` `[D]` is gamma to the number of steps spanned.

    Args:
      dataset: leaves `[D, ...]`, with ``extras["episode"]``.
      n: 1 changes nothing.
      discount: gamma.
    """
    if n == 1:
        return dataset
    episode = jnp.asarray(dataset.extras["episode"])
    terminal = jnp.asarray(dataset.terminal)
    stop = returns.last_steps(episode) | (terminal > 0.0)
    total, length, last = returns.n_step(jnp.asarray(dataset.reward), stop, discount, n)
    return dataset._replace(
        reward=total,
        next_observation=jnp.asarray(dataset.next_observation)[last],
        terminal=terminal[last],
        extras={**dataset.extras, DISCOUNT: discount**length},
    )
