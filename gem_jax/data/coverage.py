"""How much of the state space a dataset covers, and at how many levels it acts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gem_jax.data import episodes

CELLS = 30  # along each axis of the plane
QUANTILES = (0.0, 0.1, 0.25, 0.5, 0.75, 0.9, 1.0)

_MAX_STATES = 100_000
_EDGE = 0.01  # share of states beyond each border of the cells, outliers aside
_EXPERT = 80.0  # normalized score of the median episode
_ONE_LEVEL = 25.0  # normalized scores that the middle four fifths may span
_ONE_LEVEL_SHARE = 0.25  # without references: of the median return


def measure(recorded: Sequence[episodes.Episode]) -> dict[str, Any]:
    """How many directions the states extend in, and how densely they fill a plane.

    ``rank`` is the effective rank of Roy and Vetterli (2007), exp of the entropy of the
    shares p_i that the eigenvalues of the correlation matrix have in their sum: `O` for
    features that are uncorrelated, 1 where all move together. ``cells`` is the share of
    ``CELLS`` x ``CELLS`` cells that hold a state, in the plane of the first two
    principal components between the first and the last percentile.

    Args:
      recorded: at least one episode, none of them empty.

    Returns:
      ``features`` that change, ``rank``, ``cells``; the last two None where no feature
      changes.
    """
    states = sample(recorded)
    varying = np.ptp(states, axis=0) > 0 if len(states) else np.zeros(0, bool)
    if not varying.any():
        return {"features": 0, "rank": None, "cells": None}
    plane, shares = principal_plane(states)
    positive = shares[shares > 0]
    rank = float(np.exp(-np.sum(positive * np.log(positive))))
    low, high = np.quantile(plane, (_EDGE, 1.0 - _EDGE), axis=0)
    inside = plane[((plane >= low) & (plane <= high)).all(axis=1)]
    scaled = (inside - low) / np.where(high > low, high - low, 1.0)
    cells = np.minimum((scaled * CELLS).astype(int), CELLS - 1)
    share = len(np.unique(cells, axis=0)) / CELLS ** plane.shape[1]
    return {"features": int(varying.sum()), "rank": rank, "cells": share}


def sample(recorded: Sequence[episodes.Episode]) -> np.ndarray:
    """`[at most 100,000, O]` float64: finite states, evenly over the dataset."""
    states = np.concatenate([episode.observations[:-1] for episode in recorded])
    states = states[np.isfinite(states).all(axis=1)]
    count = min(len(states), _MAX_STATES)
    chosen = np.linspace(0, len(states) - 1, count).astype(int)
    return states[chosen].astype(np.float64)


def principal_plane(states: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """States `[N, 1 or 2]` by the first principal components, and each one's share.

    Features are standardized; those that never change are left out. At least one does.
    """
    changing = states[:, np.ptp(states, axis=0) > 0]
    standard = (changing - changing.mean(axis=0)) / changing.std(axis=0)
    values, vectors = np.linalg.eigh(standard.T @ standard / len(standard))
    values = np.maximum(values[::-1], 0.0)  # eigh's are in ascending order
    return standard @ vectors[:, ::-1][:, :2], values / values.sum()


def level(returns: np.ndarray, scores: np.ndarray) -> tuple[str, str]:
    """Whether episodes are an expert's, of one level, or mixed; and the rule for it.

    Args:
      returns: `[J]` of whole episodes.
      scores: `[J]` normalized; NaN without references.
    """
    finite = returns[np.isfinite(returns)]
    if len(finite) < 2:
        return "unknown", "fewer than two whole episodes"
    if np.isfinite(scores).any():
        low, median, high = np.quantile(scores[np.isfinite(scores)], (0.1, 0.5, 0.9))
        rule = f"the middle four fifths of scores span {high - low:.1f}"
        if high - low > _ONE_LEVEL:
            return "mixed", f"{rule}, more than {_ONE_LEVEL:g}"
        if median >= _EXPERT:
            return "expert", f"{rule}, and their median is {median:.1f}"
        return "one level", f"{rule}, and their median is {median:.1f}"
    low, median, high = np.quantile(finite, (0.1, 0.5, 0.9))
    rule = f"the middle four fifths of returns span {high - low:.4g}"
    if high - low > _ONE_LEVEL_SHARE * abs(median):
        return "mixed", f"{rule}, more than a quarter of their median {median:.4g}"
    return (
        "one level",
        f"{rule}, their median is {median:.4g}; no reference says whether it is good",
    )
