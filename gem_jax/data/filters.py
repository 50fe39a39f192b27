"""Choosing among the episodes of a dataset."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from gem_jax.data import transforms, transitions
from gem_jax.data.episodes import Episode


def best(
    recorded: Sequence[Episode], share: float, log: Callable[[str], None] = print
) -> list[Episode]:
    """The episodes with the highest returns, in the order in which they were recorded.

    Of equal returns the first recorded counts as higher. Says how many are kept, and
    warns where returns do not tell episodes apart.

    Args:
      recorded: all episodes, as recorded, with finite rewards.
      share: of their number, above 0; rounded up, so that at least one is kept.
      log: takes one line.
    """
    if share >= 1.0:
        return list(recorded)
    # 0.07 * 100 is a little above 7.
    count = max(1, math.ceil(round(share * len(recorded), 9)))
    returns = np.array([np.sum(episode.rewards, dtype=float) for episode in recorded])
    kept = np.sort(np.argsort(-returns, kind="stable")[:count])
    log(f"the best {count:,} of {len(recorded):,} episodes kept, by return")
    if count == len(recorded):
        log(f"warning: best_share={share:g} of so few episodes is all of them")
    elif np.ptp(returns) == 0.0:
        log(
            f"warning: all episodes have the return {returns[0]:g}, so that the first "
            "recorded are kept"
        )
    elif transforms.mostly_single_steps(transitions.offsets(recorded)):
        log(
            "warning: most episodes are single steps, as in shuffled data, so that "
            "single rewards decide which are kept"
        )
    return [recorded[i] for i in kept]
