"""Transitions that span several steps."""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import numpy as np

from gem_jax.ops import returns
from gem_jax.types import DISCOUNT, Transition

_SPARSE_STEPS = 10


def told_by(dataset: Transition) -> int:
    """How many steps a target should span: 10 where rewards mostly repeat, else 1.

    Rewards that are the one before, as most of a goal that is reached or not, do not
    tell actions apart; what ten steps lead to does, beside the critic's noise. Where
    each step has a reward of its own, ten add more of the behavior's noise.

    Args:
      dataset: leaves `[D, ...]`, with ``extras["episode"]``.
    """
    reward, episode = np.asarray(dataset.reward), np.asarray(dataset.extras["episode"])
    together = episode[1:] == episode[:-1]
    repeated = (reward[1:] == reward[:-1])[together]
    return _SPARSE_STEPS if 2 * repeated.sum() > len(repeated) else 1


def span(dataset: Transition, n: int, discount: float) -> Transition:
    """Each step with the rewards of up to ``n``, and the state after the last of them.

    Fewer where a terminal or the end of the trajectory comes first. The extra
    ``discount`` `[D]` is gamma to the number of steps spanned. On the host: compiled,
    every n would be another program.

    Args:
      dataset: leaves `[D, ...]`, with ``extras["episode"]``.
      n: 1 changes nothing.
      discount: gamma.
    """
    if n == 1:
        return dataset
    reward = np.asarray(dataset.reward)
    terminal = np.asarray(dataset.terminal)
    episode = jnp.asarray(dataset.extras["episode"])
    stop = np.asarray(returns.ends(episode, jnp.asarray(terminal)))
    total = reward.astype(np.float64)
    going = np.flatnonzero(~stop)  # rows that another step joins
    last = np.arange(len(reward))
    for k in range(1, n):
        if not len(going):
            break
        last[going] = going + k
        total[going] += discount**k * reward[going + k]
        going = going[~stop[going + k]]
    spanned = last - np.arange(len(reward)) + 1
    leaves: dict[str, Any] = {
        "reward": total.astype(reward.dtype),
        "next_observation": np.asarray(dataset.next_observation)[last],
        "terminal": terminal[last],
        "extras": {
            **dataset.extras,
            DISCOUNT: (discount**spanned).astype(reward.dtype),
        },
    }
    return dataset._replace(**leaves)
