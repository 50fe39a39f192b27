"""Learning rates over a run."""

from __future__ import annotations

import jax.numpy as jnp
import optax


def cosine_then_constant(rate: float, num_steps: int) -> optax.Schedule:
    """Decays to 0 along a cosine; ``rate`` again for steps beyond ``num_steps``.

    What comes after is training online, where a rate of 0 would learn nothing.
    """
    decay = optax.cosine_decay_schedule(rate, num_steps)
    return lambda count: jnp.where(count < num_steps, decay(count), rate)
