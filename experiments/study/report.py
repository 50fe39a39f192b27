"""The table of a study: interquartile means with intervals, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.lib import intervals, markdown, measures
from experiments.lib.csv_rows import Row
from gem_jax.data import tasks
from gem_jax.data.task import Task


def format_table(
    rows: Mapping[str, Sequence[Row]], own: Mapping[str, Task] | None = None
) -> str:
    """A line a variant: mean by task, then by suite the IQM over tasks and seeds.

    Intervals are 95 % by bootstrap, the seeds of each task redrawn. Steps a second
    are the environment's, relative to the first variant's.

    Args:
      rows: of each variant, all of the same tasks and seeds.
      own: tasks that are not in the table, by name.
    """
    first = next(iter(rows.values()))
    names = list(dict.fromkeys(row["env"] for row in first))
    known = own or {}
    groups = {n: measures.group(known.get(n) or tasks.get(n)) for n in names}
    suites = list(dict.fromkeys(groups.values()))
    speed = _speed(first)
    lines = []
    for variant, measured in rows.items():
        scores = {name: _scores(measured, name) for name in names}
        means = [f"{np.mean(scores[name]):.1f}" for name in names]
        by_suite = [
            intervals.iqm_text(np.stack([scores[n] for n in names if groups[n] == s]))
            for s in suites
        ]
        lines.append([variant, *means, *by_suite, f"{_speed(measured) / speed:.2f}"])
    header = ["variant", *names, *(f"{s}, IQM [95 %]" for s in suites), "steps/s"]
    return markdown.table(header, lines)


def _scores(rows: Sequence[Row], name: str) -> np.ndarray:
    """`[seeds]`."""
    return np.array([measures.of_row(r) for r in rows if r["env"] == name])


def _speed(rows: Sequence[Row]) -> float:
    return float(np.mean([float(row["env_steps_per_second"]) for row in rows]))
