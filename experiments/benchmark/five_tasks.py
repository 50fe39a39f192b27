"""OGBench's measure: success over the five tasks of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.lib import markdown
from experiments.table import published
from gem_jax.data import ogbench, tasks
from gem_jax.data.ogbench import rows
from gem_jax.runs import statistics


def format_table(
    summaries: Mapping[tuple[str, str], Mapping[str, Any]],
    names: Sequence[str],
    methods: Sequence[str],
) -> str:
    """A line a set that is there with all its tasks; empty where there is none.

    A cell is the mean over seeds, and their standard deviation, of a seed's mean over
    the five tasks; "-" where a method lacks one of them, or a seed. What papers list of
    a set stands to the right.
    """
    own = [t for t in map(tasks.get, names) if t.suite == ogbench.SUITE]
    sets = list(dict.fromkeys(map(ogbench.dataset, own)))
    whole = [name for name in sets if set(rows.tasks_of(name)) <= set(names)]
    if not whole:
        return ""
    elsewhere = published.everything()
    listed = set().union(*(elsewhere.get(name, {}) for name in whole))
    compared = [method for method in methods if method in listed]
    lines = []
    for name in whole:
        found = [_cell(summaries, rows.tasks_of(name), method) for method in methods]
        others = [elsewhere.get(name, {}).get(method, "-") for method in compared]
        lines.append([name, *found, *others])
    header = ["success (%), mean of five tasks", *methods]
    return markdown.table([*header, *(f"{m}, published" for m in compared)], lines)


def _cell(
    summaries: Mapping[tuple[str, str], Mapping[str, Any]],
    five: Sequence[str],
    method: str,
) -> str:
    if not all((name, method) in summaries for name in five):
        return "-"
    found = [summaries[name, method]["normalized_score"]["per_seed"] for name in five]
    if len(set(map(len, found))) > 1:  # of one of them a run has failed
        return "-"
    return statistics.mean_and_std(np.mean(found, axis=0))
