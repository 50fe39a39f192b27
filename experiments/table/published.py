"""What papers list of tasks, to stand beside what was measured here."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from importlib import resources

_SCORES, _SUCCESS = "published_scores.csv", "published_success.csv"


def scores() -> dict[str, Mapping[str, str]]:
    """By D4RL's task what arXiv 2603.23232 lists, and EMPO's paper, for each method."""
    return _read(_SCORES)


def everything() -> dict[str, Mapping[str, str]]:
    """The scores, and success rates in percent on OGBench's tasks, by method.

    The latter are Tables 3 and, under the name of a set, 2 of arXiv 2502.02538: mean ±
    standard deviation over 8 seeds on OGBench's files, of the mean of 50 episodes after
    800,000, 900,000 and a million gradient steps; IDQL's after 2.5 to 3 million.
    """
    return scores() | _read(_SUCCESS)


def _read(name: str) -> dict[str, Mapping[str, str]]:
    path = resources.files("experiments.table").joinpath(name)
    with path.open(encoding="utf-8") as file:
        return {row["dataset"]: row for row in csv.DictReader(file)}
