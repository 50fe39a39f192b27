"""Evaluates a trained run, with the knobs it was trained with or with others.

python -m experiments.evaluate --workdir=runs/antmaze-umaze-v2/gem/seed0 --kappa=2

Every knob of the run's algorithm is a flag.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.lib import cli, knob_flags, reevaluation
from gem_jax.runs import statistics
from gem_jax.training import rundir

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_EPISODES = flags.DEFINE_integer("episodes", 100, "Whole episodes a seed.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_PROPOSER = flags.DEFINE_string(
    "proposer", None, "Another run folder, whose policy proposes the candidates."
)
_ENV = flags.DEFINE_string(
    "env",
    None,
    "Task file in place of the one that a run on a task of one's own keeps.",
)
_OUTPUT = flags.DEFINE_string("output", None, "Append the results to this file.")


def parse(argv: list[str]) -> list[str]:
    """The run tells which knobs become flags."""
    return knob_flags.parse(argv, _WORKDIR)


def main(argv: list[str]) -> None:
    """Evaluates every seed and prints one line each."""
    cli.no_arguments(argv)
    cli.require_file("output", _OUTPUT.value)
    run = reevaluation.load(
        pathlib.Path(_WORKDIR.value),
        _CHECKPOINT.value,
        cli.folder("proposer", _PROPOSER.value),
    )
    if _ENV.value is not None:
        run = run.on_task(_ENV.value)
    asked = knob_flags.given(run.policies[0].knobs)
    (rows,) = reevaluation.evaluate([run.with_knobs(asked)], _EPISODES.value)
    print(format_rows(run, rows))
    if _OUTPUT.value:
        rundir.append_lines(pathlib.Path(_OUTPUT.value), rows)


def format_rows(run: reevaluation.TrainedRun, rows: Sequence[Mapping[str, Any]]) -> str:
    """A small table for the terminal."""
    lines = [
        f"update {row['step']}, seed {row['seed']}: {_score(row)}"
        f"return {row['return_mean']:.2f} +- {row['return_std']:.2f}"
        f"{_diagnostics(run, row)} "
        f"({row['episodes']} episodes, {row['env_steps_per_second']:.0f} steps/s)"
        for row in rows
    ]
    word, values = "score", [row["normalized_score"] for row in rows]
    if None in values:  # no reference scores
        word, values = "return", [row["return_mean"] for row in rows]
    mean, std = np.mean(values), statistics.sample_std(values)
    return "\n".join(
        [*lines, f"{word} {mean:.1f} +- {std:.1f} over {len(rows)} seed(s)"]
    )


def _score(row: Mapping[str, Any]) -> str:
    """The normalized score, or without one the success rate if there is any."""
    if row["normalized_score"] is not None:
        return f"score {row['normalized_score']:.1f}, "
    rate = row["success_rate"]
    return "" if rate is None else f"success rate {rate:.2f}, "


def _diagnostics(run: reevaluation.TrainedRun, row: Mapping[str, Any]) -> str:
    names = (name for name in run.policies[0].diagnostics if row.get(name) is not None)
    return "".join(f", {name} {row[name]:.4g}" for name in names)


if __name__ == "__main__":
    cli.run(main, parse)
