"""The tables of a grid: means by task, interquartile means by suite."""

from __future__ import annotations

import collections
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.lib import csv_rows, intervals, markdown, measures
from experiments.table import published
from experiments.table import scores as score_table
from gem_jax.data import tasks

Summaries = Mapping[tuple[str, str], Mapping[str, Any]]  # by task and method
# By task and method: by setting, the value and the paper's.
Departures = Mapping[tuple[str, str], Mapping[str, tuple[str, str]]]

_NOTHING: Mapping[str, Any] = {"normalized_score": None}
_EXPLANATION = (
    "Mean ± standard deviation (ddof = 1) over seeds, in parentheses their number; "
    "published scores are of other data and other numbers of steps."
)
_TITLE = "## Settings that differ from `paper`"


def format_tables(
    summaries: Summaries, names: Sequence[str], methods: Sequence[str]
) -> str:
    """Means by task, then interquartile means of the suites that a method has whole."""
    by_task = score_table.format_table(list(summaries.values()), published.everything())
    groups = {name: measures.group(tasks.get(name)) for name in names}
    suites = list(dict.fromkeys(groups.values()))
    lines = []
    for method in methods:
        line = [method]
        for suite in suites:
            alike = [(name, method) for name in names if groups[name] == suite]
            found = [measures.per_seed(summaries.get(pair, _NOTHING)) for pair in alike]
            if not all(found) or len(set(map(len, found))) > 1:  # a run has failed
                line.append("-")
                continue
            scores = np.array(found)
            alone = scores.shape[1] == 1  # of one seed there is no interval
            text = f"{intervals.iqm(scores):.1f}" if alone else None
            line.append(text or intervals.iqm_text(scores))
        lines.append(line)
    header = ["method", *(f"{suite}, IQM [95 %]" for suite in suites)]
    return f"{by_task}\n\n{_EXPLANATION}\n\n{markdown.table(header, lines)}"


CELL_COLUMNS = (
    *("env", "method", "source", "preset", "steps", "num_seeds", "mean", "std"),
    *("return_mean", "updates_per_second", "minutes"),
)


def cell(name: str, method: str, summary: Mapping[str, Any]) -> csv_rows.Row:
    """One pair in a line; std with ddof = 1, a score that there is not is empty."""
    score, total = summary["normalized_score"], summary.get("return_mean")
    values = (
        *(name, method, summary["source"], summary["preset"], summary["steps"]),
        len(summary["seeds"]),
        *((score["mean"], score["std"]) if score else ("", "")),
        total["mean"] if total else "",
        *(summary["updates_per_second"], summary["wall_seconds"] / 60.0),
    )
    return dict(zip(CELL_COLUMNS, map(str, values), strict=True))


def format_departures(departures: Departures, methods: Sequence[str]) -> str:
    """The settings of each method that are not the papers', and on which tasks."""
    where: dict[tuple[str, ...], list[str]] = {}
    for (name, method), settings in departures.items():
        for setting, values in settings.items():
            where.setdefault((method, setting, *values), []).append(name)
    count = collections.Counter(method for _, method in departures)
    lines = [
        [*row, "all" if len(names) == count[row[0]] else ", ".join(names)]
        for row, names in sorted(
            where.items(), key=lambda item: methods.index(item[0][0])
        )
    ]
    header = ["method", "setting", "here", "paper", "tasks"]
    return f"{_TITLE}\n\n{markdown.table(header, lines) if lines else 'None.'}"
