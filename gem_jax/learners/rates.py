"""Learning rates over a run."""

from __future__ import annotations

import optax


def cosine(rate: float, num_steps: int, *, decays: bool = True) -> optax.Schedule:
    """Decays to 0 along a cosine; without ``decays`` it stays, for training online.

    There a rate that has come to 0 would learn nothing. Optimizers of both have states
    of one structure.
    """
    if decays:
        return optax.cosine_decay_schedule(rate, num_steps)
    return optax.constant_schedule(rate)
