"""By what policies compare: normalized scores, or returns where a task has none."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from experiments.lib.csv_rows import Row
from gem_jax.data.task import Task

_RETURN = " (return)"  # what tells raw returns from scores


def group(task: Task) -> str:
    """Tasks whose numbers may be averaged: a suite's, or one that has returns alone."""
    return task.suite if task.is_scored else task.name + _RETURN


def label(summary: Mapping[str, Any]) -> str:
    """The task of a ``summary.json``, with what its numbers are unless scores."""
    return summary["env"] + ("" if is_scored(summary) else _RETURN)


def is_scored(summary: Mapping[str, Any]) -> bool:
    """Whether a ``summary.json`` has normalized scores."""
    return summary["normalized_score"] is not None


def per_seed(summary: Mapping[str, Any]) -> list[float]:
    """A number a seed of a ``summary.json``; none if nothing was evaluated."""
    found = summary["normalized_score"] or summary.get("return_mean")
    return found["per_seed"] if found else []


def of_row(row: Row) -> float:
    """The number of a row of an evaluations table."""
    if row["normalized_score"]:
        return float(row["normalized_score"])
    return float(np.mean(returns(row)))


def returns(row: Row) -> list[float]:
    """`[episodes]` of a row of an evaluations table."""
    return [float(value) for value in row["returns"].split()]
