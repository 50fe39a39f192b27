"""Choosing among the episodes of a dataset."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from gem_jax.data.episodes import Episode


def best(recorded: Sequence[Episode], share: float) -> list[Episode]:
    """The episodes with the highest returns, in the order in which they were recorded.

    Of equal returns the first recorded counts as higher.

    Args:
      recorded: all episodes, as recorded.
      share: of their number, above 0; rounded up.
    """
    if share >= 1.0:
        return list(recorded)
    count = math.ceil(share * len(recorded))
    returns = np.array([np.sum(episode.rewards, dtype=float) for episode in recorded])
    kept = np.sort(np.argsort(-returns, kind="stable")[:count])
    return [recorded[i] for i in kept]
