"""The table of a study: interquartile means with intervals, and what each costs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from experiments.lib import intervals, markdown
from experiments.lib.csv_rows import Row
from gem_jax.data import tasks


def format_table(rows: Mapping[str, Sequence[Row]]) -> str:
    """A line a variant: mean by task, then by suite the IQM over tasks and seeds.

    Intervals are 95 % by bootstrap, the seeds of each task redrawn. Steps a second
    are the environment's, relative to the first variant's.

    Args:
      rows: of each variant, all of the same tasks and seeds.
    """
    first = next(iter(rows.values()))
    names = list(dict.fromkeys(row["env"] for row in first))
    suites = list(dict.fromkeys(tasks.get(name).suite for name in names))
    speed = _speed(first)
    lines = []
    for variant, measured in rows.items():
        scores = {name: _scores(measured, name) for name in names}
        means = [f"{np.mean(scores[name]):.1f}" for name in names]
        by_suite = [_of_suite(scores, suite) for suite in suites]
        lines.append([variant, *means, *by_suite, f"{_speed(measured) / speed:.2f}"])
    header = ["variant", *names, *(f"{s}, IQM [95 %]" for s in suites), "steps/s"]
    return markdown.table(header, lines)


def _of_suite(scores: Mapping[str, np.ndarray], suite: str) -> str:
    alike = [s for name, s in scores.items() if tasks.get(name).suite == suite]
    return intervals.iqm_text(np.stack(alike))


def _scores(rows: Sequence[Row], name: str) -> np.ndarray:
    """`[seeds]`."""
    return np.array([float(r["normalized_score"]) for r in rows if r["env"] == name])


def _speed(rows: Sequence[Row]) -> float:
    return float(np.mean([float(row["env_steps_per_second"]) for row in rows]))
