"""Scores and speed of both libraries, a row a method and task."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmarks.peers import comparison
from experiments.lib import markdown
from experiments.lib.csv_rows import Row
from gem_jax.runs import statistics

_HEADER = ("task", "method", "gem_jax", "d3rlpy", "in its spread or above", "speed")


def format_table(rows: Sequence[Row]) -> str:
    """Markdown, of the pairs of which both libraries have rows.

    Scores are mean ± standard deviation over seeds, and their number; ours is in the
    peer's spread or above it where its mean is at least the peer's mean less that
    deviation. Speed is the ratio of the medians of gradient steps a second.
    """
    by_pair: dict[tuple[str, str], dict[str, list[Row]]] = {}
    for row in rows:
        libraries = by_pair.setdefault((row["env"], row["method"]), {})
        libraries.setdefault(row["library"], []).append(row)
    lines = [
        (*pair, *_cells(*(libraries[name] for name in comparison.LIBRARIES)))
        for pair, libraries in by_pair.items()
        if len(libraries) == len(comparison.LIBRARIES)
    ]
    return markdown.table(_HEADER, lines)


def reaches(ours: Sequence[float], peer: Sequence[float]) -> bool:
    """Whether our mean is above the peer's, or within its standard deviation of it."""
    return float(np.mean(ours)) >= np.mean(peer) - statistics.sample_std(peer)


def _cells(ours: Sequence[Row], peer: Sequence[Row]) -> list[str]:
    own, other = ([float(row["normalized_score"]) for row in r] for r in (ours, peer))
    rates = [
        np.median([float(row["updates_per_second"]) for row in r]) for r in (ours, peer)
    ]
    return [
        statistics.mean_and_std(own),
        statistics.mean_and_std(other),
        "yes" if reaches(own, other) else "no",
        f"{rates[0]:.0f} / {rates[1]:.0f} = {rates[0] / rates[1]:.1f}",
    ]
