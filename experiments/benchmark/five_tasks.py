"""OGBench's measure: success over the five tasks of a set."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.lib import markdown
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
    the five tasks; "-" where a method lacks one of them.
    """
    own = [t for t in map(tasks.get, names) if t.suite == ogbench.SUITE]
    lines = []
    for name in dict.fromkeys(map(ogbench.dataset, own)):
        five = rows.tasks_of(name)
        if set(five) <= set(names):
            lines.append([name, *(_cell(summaries, five, m) for m in methods)])
    if not lines:
        return ""
    return markdown.table(["success (%), mean of five tasks", *methods], lines)


def _cell(
    summaries: Mapping[tuple[str, str], Mapping[str, Any]],
    five: Sequence[str],
    method: str,
) -> str:
    if not all((name, method) in summaries for name in five):
        return "-"
    found = [summaries[name, method]["normalized_score"]["per_seed"] for name in five]
    return statistics.mean_and_std(np.mean(found, axis=0))
