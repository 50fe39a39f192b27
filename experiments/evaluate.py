"""Evaluates a trained run, with the knobs it was trained with or with others.

python -m experiments.evaluate --workdir=runs/antmaze-umaze-v2/gem/seed0 --kappa=2
"""

from __future__ import annotations

import dataclasses
import pathlib
from typing import Any

import numpy as np
from absl import flags

from experiments import cli, rescoring, statistics
from gem_jax.inference import Knobs
from gem_jax.inference.knobs import SCHEDULES
from gem_jax.training import rundir

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_EPISODES = flags.DEFINE_integer("episodes", 100, "Whole episodes a seed.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Append the results to this file.")
_DEFINE = {
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
for _field in dataclasses.fields(Knobs):
    _DEFINE[type(_field.default)](_field.name, None, "See gem_jax.inference.Knobs.")
flags.DEFINE_enum("lambda_schedule", None, SCHEDULES, "By default the run's own.")


def main(argv: list[str]) -> None:
    """Plays the episodes of every seed and prints one line each."""
    cli.no_arguments(argv)
    run = rescoring.load(pathlib.Path(_WORKDIR.value), _CHECKPOINT.value)
    (rows,) = rescoring.play([run.with_knobs(asked_knobs())], _EPISODES.value)
    print(format_rows(rows))
    if _OUTPUT.value:
        rundir.append_lines(pathlib.Path(_OUTPUT.value), rows)


def asked_knobs() -> dict[str, Any]:
    """The knobs given on the command line."""
    names = [field.name for field in dataclasses.fields(Knobs)]
    values = {n: flags.FLAGS[n].value for n in (*names, "lambda_schedule")}
    return {name: value for name, value in values.items() if value is not None}


def format_rows(rows: list[dict[str, Any]]) -> str:
    """A small table for the terminal."""
    lines = [
        f"update {row['step']}, seed {row['seed']}: "
        f"score {row['normalized_score']:.1f}, "
        f"return {row['return_mean']:.2f} +- {row['return_std']:.2f}{_audits(row)} "
        f"({row['episodes']} episodes, {row['env_steps_per_second']:.0f} steps/s)"
        for row in rows
    ]
    scores = [row["normalized_score"] for row in rows]
    mean, std = np.mean(scores), statistics.sample_std(scores)
    return "\n".join(
        [*lines, f"score {mean:.1f} +- {std:.1f} over {len(rows)} seed(s)"]
    )


def _audits(row: dict[str, Any]) -> str:
    if row["support_z"] is None:
        return ""
    return (
        f", support z {row['support_z']:.2f}, violations {row['violation_rate']:.4f}, "
        f"collapse {row['collapse_dist']:.3f}"
    )


if __name__ == "__main__":
    cli.run(main)
