"""What an evaluation found: running sums, a result for each variant, lines of files."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from gem_jax.data import tasks


@dataclasses.dataclass(frozen=True)
class EvalResult:
    """Attributes:
    returns: `[episodes]`, rewards of the environment, never transformed.
    lengths: `[episodes]`, steps.
    successes: `[episodes]` bool, or ``None`` where no step reported any, be it that the
      environment never does, or does at a success alone.
    audit: mean over all decisions of what ``act`` reported.
    steps_per_second: environment steps, acting included.
    """

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray | None
    audit: Mapping[str, float]
    steps_per_second: float

    def values(self, task: tasks.Task) -> np.ndarray:
        """`[episodes]` what the task's score is the mean of: returns, or successes."""
        if task.scored_by == "return":
            return self.returns
        if self.successes is None:
            return np.zeros(len(self.returns))
        return self.successes.astype(np.float64)

    def success_rate(self, task: tasks.Task) -> float | None:
        """``None`` where none was reported, unless the task is scored by it."""
        if task.scored_by == "return" and self.successes is None:
            return None
        return float(np.mean(self.successes)) if self.successes is not None else 0.0


@dataclasses.dataclass
class Tally:
    """Running results of the episodes of one wave, by row; `[rows]` each."""

    returns: np.ndarray
    lengths: np.ndarray
    successes: np.ndarray
    reports_success: bool
    audit_sums: dict[str, np.ndarray]


def summarize(
    waves: Sequence[Tally], num_variants: int, seconds: float
) -> list[EvalResult]:
    """One result for each variant.

    Args:
      waves: rows of all of them together: ``num_variants`` times the episodes of one.
      num_variants: they follow each other.
      seconds: that all of them took.
    """

    def joined(parts: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate(parts).reshape(num_variants, -1)

    returns = joined([wave.returns for wave in waves])
    lengths = joined([wave.lengths for wave in waves])
    successes = joined([wave.successes for wave in waves])
    reports = any(wave.reports_success for wave in waves)
    audits = {
        name: joined([wave.audit_sums[name] for wave in waves]).sum(axis=1)
        / lengths.sum(axis=1)
        for name in waves[0].audit_sums
    }
    return [
        EvalResult(
            returns=returns[i],
            lengths=lengths[i],
            successes=successes[i] if reports else None,
            audit={name: float(means[i]) for name, means in audits.items()},
            steps_per_second=float(lengths.sum()) / seconds,
        )
        for i in range(num_variants)
    ]


# Of what tells how good a policy is, the words and the format.
_HEADLINES = {
    "normalized_score": ("normalized score", ".1f"),
    "return_mean": ("return", ".2f"),
    "success_rate": ("success rate", ".2f"),
}


def headline(found: Mapping[str, Any], show: Callable[[Any, str], str]) -> str:
    """The normalized score, or without one the return, and the success rate if any.

    Args:
      found: what was found by the fields' names; ``None`` where it was not measured.
      show: a value and its format to text.
    """
    scored = found["normalized_score"] is not None
    names = ["normalized_score"] if scored else ["return_mean", "success_rate"]
    told = [name for name in names if found[name] is not None]
    words = [(_HEADLINES[name], found[name]) for name in told]
    return "; ".join(f"{word} {show(value, form)}" for (word, form), value in words)


def headline_of_rows(rows: Sequence[Mapping[str, Any]]) -> str:
    """The headline of an evaluation, the numbers of its seeds side by side."""

    def show(values: list[float], form: str) -> str:
        return ", ".join(f"{value:{form}}" for value in values)

    return headline({name: of_seeds(rows, name) for name in _HEADLINES}, show)


def of_seeds(rows: Sequence[Mapping[str, Any]], name: str) -> list[float] | None:
    """A quantity of every seed's row; ``None`` where it was not measured at all.

    An environment may report successes alone: a seed without one then has the rate 0.
    """
    values = [row[name] for row in rows]
    if all(value is None for value in values):
        return None
    return [0.0 if value is None else value for value in values]


def to_row(result: EvalResult, task: tasks.Task, knobs: Any) -> dict[str, Any]:
    """The content of one line of ``eval.jsonl``, but for step and seed.

    Every diagnostic that the policy reports has a field of its own.
    """
    return {
        "episodes": len(result.returns),
        "return_mean": float(np.mean(result.returns)),
        "return_std": float(np.std(result.returns)),
        # None where the task has no reference scores: the return is all there is.
        "normalized_score": task.normalized_score(float(np.mean(result.values(task)))),
        "success_rate": result.success_rate(task),
        "length_mean": float(np.mean(result.lengths)),
        **result.audit,
        "knobs": dataclasses.asdict(knobs) if knobs else {},
        "env_steps_per_second": result.steps_per_second,
    }
