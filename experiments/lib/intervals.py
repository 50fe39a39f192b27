"""The interquartile mean and its bootstrap interval (Agarwal et al., 2021)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import stats

_RESAMPLES = 2_000


def iqm(scores: np.ndarray) -> float:
    """The mean of the middle half of all values."""
    ordered = np.sort(scores, axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def bootstrap(
    scores: np.ndarray, statistic: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float]:
    """The central 95 % of a statistic of `[strata, draws]`, draws redrawn.

    Strata stay as they are: of few one cannot tell how they vary by drawing from them
    again.
    """
    if scores.shape[1] == 1:  # redrawn, the one draw is itself
        return float(statistic(scores)), float(statistic(scores))
    interval = stats.bootstrap(
        tuple(scores),
        lambda *drawn: statistic(np.stack(drawn)),
        vectorized=False,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def iqm_text(scores: np.ndarray) -> str:
    """``"41.5 [32.0, 50.1]"``: the interquartile mean of `[strata, draws]`."""
    low, high = bootstrap(scores, iqm)
    return f"{iqm(scores):.1f} [{low:.1f}, {high:.1f}]"
