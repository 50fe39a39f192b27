"""What a sweep found: the scores of all settings, and what the best is worth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from experiments.lib import intervals, measures
from experiments.lib.csv_rows import Row
from gem_jax.data.task import Task
from gem_jax.runs import statistics


class Result(NamedTuple):
    """Attributes:
    setting: the knobs that were asked for; empty for the runs' own.
    rows: of the table, one a seed.
    knobs: all that were in effect, one record a run.
    diagnostics: columns beside the scores.
    task: what they were evaluated on.
    """

    setting: Mapping[str, Any]
    rows: Sequence[Row]
    knobs: Sequence[Any]
    diagnostics: Sequence[str]
    task: Task

    @property
    def word(self) -> str:
        """What the scores are: normalized, or returns where the task has no others."""
        return "score" if self.task.is_scored else "return"

    def means(self) -> np.ndarray:
        """`[seeds]` the mean score of each."""
        return np.array([measures.of_row(row) for row in self.rows])

    def column(self, name: str) -> np.ndarray:
        """`[seeds]` of one measured quantity; NaN where it was not measured."""
        return np.array([float(row[name] or "nan") for row in self.rows])

    def scores(self) -> np.ndarray:
        """`[seeds, episodes]` normalized scores, or returns."""
        returns = np.array([measures.returns(row) for row in self.rows])
        if not self.task.is_scored:
            return returns
        return np.vectorize(self.task.normalized_score)(returns)


def format_results(results: Sequence[Result]) -> str:
    """A line a setting, then which is best and what it is worth.

    The first half of the episodes chooses, by interquartile mean over seeds and
    episodes, the second reports, with a bootstrap interval of 95 %: the score by which
    the best of many was chosen is too high.
    """
    lines = [_line(result) for result in results]
    if results[0].scores().shape[1] < 2:
        return "\n".join(lines)
    halves = [np.array_split(result.scores(), 2, axis=1) for result in results]
    best = int(np.argmax([intervals.iqm(first) for first, _ in halves]))
    lines.append(
        f"best by half of the episodes: {_name(results[best].setting)}; by the other "
        f"half: IQM {intervals.iqm_text(halves[best][1])}; the run's own knobs: "
        f"IQM {intervals.iqm_text(halves[0][1])}"
    )
    return "\n".join(lines)


def _line(result: Result) -> str:
    score = result.means()
    means = [f"{np.mean(result.column(n)):.4g} {n}" for n in result.diagnostics]
    listed = ", ".join([f"{statistics.sample_std(score):.1f}", *means])
    name, count = _name(result.setting), len(result.rows)
    mean = np.mean(score)
    return f"{name}: {result.word} {mean:.1f} +- {listed} ({count} seeds)"


def _name(setting: Mapping[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in setting.items()) or "the run's own knobs"
