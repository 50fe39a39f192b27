"""What the tried candidates of many states say together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

SCORES = ("score", "lcb", "support", "q_std")  # columns beside the return


class Ranked(NamedTuple):
    """One number a state, `[S]`.

    Attributes:
      correlations: of each column of `SCORES` with the return (Spearman), NaN where
        all candidates return the same or score the same.
      chosen: return of the highest score less the anchor's.
      best: highest return less the anchor's.
      average: mean return of the candidates less the anchor's.
    """

    correlations: Mapping[str, np.ndarray]
    chosen: np.ndarray
    best: np.ndarray
    average: np.ndarray


def ranked(rows: Sequence[Mapping[str, Any]]) -> Ranked:
    """Sums up each state; its rows are neighbors, the anchor's first."""
    states = [
        {name: np.array([float(row[name]) for row in group]) for name in _COLUMNS}
        for _, group in (
            (key, list(group))
            for key, group in itertools.groupby(
                rows, lambda row: (row["seed"], row["state"])
            )
        )
    ]
    gains = [state["return"] - state["return"][0] for state in states]
    chosen = [int(np.argmax(state["score"])) for state in states]
    return Ranked(
        {name: _correlations(states, name) for name in SCORES},
        np.array([gain[i] for gain, i in zip(gains, chosen, strict=True)]),
        np.array([gain.max() for gain in gains]),
        np.array([gain.mean() for gain in gains]),
    )


def summary(rows: Sequence[Mapping[str, Any]]) -> str:
    """Lines for the terminal: mean and standard error over states."""
    found = ranked(rows)
    lines = [
        f"rank correlation of {name} with the return: {_mean(values)}"
        for name, values in found.correlations.items()
    ]
    for what, gains in (
        ("the choice", found.chosen),
        ("the average candidate", found.average),
        ("the best candidate", found.best),
    ):
        lines.append(f"return of {what}, less the anchor's: {_mean(gains)}")
    return "\n".join(lines)


_COLUMNS = ("return", *SCORES)


def _correlations(states: Sequence[Mapping[str, np.ndarray]], name: str) -> np.ndarray:
    return np.array([_spearman(state[name], state["return"]) for state in states])


def _spearman(scores: np.ndarray, returns: np.ndarray) -> float:
    if np.ptp(scores) == 0 or np.ptp(returns) == 0:
        return np.nan
    return float(stats.spearmanr(scores, returns).statistic)


def _mean(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not values.size:
        return "undefined: nowhere do the candidates differ"
    error = np.std(values, ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return f"{np.mean(values):.3g} +- {error:.2g} ({values.size} states)"
