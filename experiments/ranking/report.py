"""What the tried candidates of many states say together."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

Row = Mapping[str, Any]
_OTHERS = ("env", "algo", "source", "settings", "step", "seed")  # where a row is from
_PLACE = ("state", "reset_seed", "t", "candidate", "return")


class Ranked(NamedTuple):
    """A number for each state, `[S]`.

    Attributes:
      correlations: of the score, and of each of its terms, with the return (Spearman);
        NaN where all candidates return the same or score the same.
      chosen: return of the highest score less the anchor's.
      average: mean return of the candidates less the anchor's.
      best: highest return less the anchor's.
    """

    correlations: Mapping[str, np.ndarray]
    chosen: np.ndarray
    average: np.ndarray
    best: np.ndarray


def ranked(rows: Sequence[Row]) -> Ranked:
    """Sums up each state, whose rows are neighbors, the anchor's first."""
    states = [
        list(group)
        for _, group in itertools.groupby(rows, lambda row: (row["seed"], row["state"]))
    ]
    scores = [name for name in rows[0] if name not in (*_OTHERS, *_PLACE)]
    returns = [_column(state, "return") for state in states]
    correlations = {
        name: np.array(
            [
                _spearman(_column(s, name), r)
                for s, r in zip(states, returns, strict=True)
            ]
        )
        for name in scores
    }
    gains = [r - r[0] for r in returns]
    chosen = [int(np.argmax(_column(state, "score"))) for state in states]
    return Ranked(
        correlations,
        np.array([gain[i] for gain, i in zip(gains, chosen, strict=True)]),
        np.array([np.mean(gain) for gain in gains]),
        np.array([np.max(gain) for gain in gains]),
    )


def summary(rows: Sequence[Row]) -> str:
    """Lines for the terminal: mean and standard error over states."""
    found = ranked(rows)
    lines = [
        f"rank correlation of {name} with the discounted return: {_mean(values)}"
        for name, values in found.correlations.items()
    ]
    for what, gains in (
        ("the choice", found.chosen),
        ("the average candidate", found.average),
        ("the best candidate", found.best),
    ):
        lines.append(f"discounted return of {what}, less the anchor's: {_mean(gains)}")
    return "\n".join(lines)


def _column(state: Sequence[Row], name: str) -> np.ndarray:
    return np.array([row[name] for row in state])


def _spearman(scores: np.ndarray, returns: np.ndarray) -> float:
    if np.ptp(scores) == 0 or np.ptp(returns) == 0:
        return np.nan
    return float(stats.spearmanr(scores, returns).statistic)


def _mean(values: np.ndarray) -> str:
    values = values[np.isfinite(values)]
    if not values.size:
        return "undefined, nowhere do the candidates differ"
    error = np.std(values, ddof=1) / np.sqrt(values.size) if values.size > 1 else 0.0
    return f"{np.mean(values):.3g} +- {error:.2g} ({values.size} states)"
