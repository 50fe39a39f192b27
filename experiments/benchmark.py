"""Trains a grid of methods and tasks, and prints one table.

python -m experiments.benchmark --methods=bc,10%bc,iql,gem \
    --envs=hopper-medium-v2,walker2d-medium-v2 --num_seeds=3 --output=runs/benchmark

Each pair has a run folder ``OUTPUT/ENV/METHOD``; the same command continues what was
interrupted and skips what is complete. A pair that cannot be trained is named at the
end, and the others go on. ``OUTPUT/scores.csv`` has the score of every seed.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments.lib import cli, csv_rows
from experiments.table import scores as score_table
from gem_jax import algorithms, errors
from gem_jax.data import tasks
from gem_jax.runs import presets, resolve, runner

_METHODS = flags.DEFINE_list("methods", None, "Algorithms, and 10%bc.")
_ENVS = flags.DEFINE_list("envs", None, "Tasks.")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 3, "Of each pair.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "The first seed.", lower_bound=0)
_PRESET = flags.DEFINE_string(
    "preset", None, "paper, laptop or smoke; by default chosen by the device."
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Gradient steps of every method's last phase.", lower_bound=1
)
_SOURCE = flags.DEFINE_string("source", "auto", "Of the data, as for training.")
_OUTPUT = flags.DEFINE_string("output", "runs/benchmark", "Folder of runs and scores.")

SCORES = "scores.csv"
_COLUMNS = ("env", "method", "seed", "steps", "normalized_score")
# Methods that are an algorithm on other data.
_BEST_CLONING = "10%bc"
_VARIANTS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    _BEST_CLONING: ("bc", {"best_share": 0.1}),
}

Summaries = dict[tuple[str, str], Mapping[str, Any]]  # by task and method


def main(argv: list[str]) -> None:
    """Trains what is missing, writes the scores, and prints the tables."""
    cli.no_arguments(argv)
    methods, names = _asked("methods", _METHODS.value), _asked("envs", _ENVS.value)
    for method in methods:
        algorithms.lookup(_algorithm(method)[0])
    for name in names:
        tasks.get(name)
    output = pathlib.Path(_OUTPUT.value)
    summaries: Summaries = {}
    failures = []
    for name in names:
        for method in methods:
            print(f"{name}, {method}", flush=True)
            try:
                summaries[name, method] = _trained(name, method, output)
            except (errors.UserError, FloatingPointError) as error:
                failures.append(f"{name}, {method}: {error}")
    if summaries:
        csv_rows.write(output / SCORES, _COLUMNS, _rows(summaries))
        print(format_tables(summaries, methods))
    if failures:
        raise errors.UserError("not trained: " + "; ".join(failures))


def _asked(flag: str, values: Sequence[str] | None) -> list[str]:
    if not values or not all(values):
        raise errors.UserError(f"give --{flag}=NAME,NAME")
    if len(set(values)) < len(values):
        raise errors.UserError(f"--{flag} names one twice: {','.join(values)}")
    return list(values)


def _algorithm(method: str) -> tuple[str, Mapping[str, Any]]:
    """The registered name, and what the method changes of the data."""
    return _VARIANTS.get(method, (method, {}))


def _trained(name: str, method: str, output: pathlib.Path) -> Mapping[str, Any]:
    algo, data = _algorithm(method)
    workdir = output / name / method.replace("%", "_percent_")
    run = resolve.resolve(
        name,
        algo,
        _PRESET.value or presets.default_preset()[0],
        source=_SOURCE.value,
        seeds=range(_SEED.value, _SEED.value + _NUM_SEEDS.value),
        workdir=workdir,
        config={} if _STEPS.value is None else {"num_steps": _STEPS.value},
        data=dict(data),
        command="experiments.benchmark",
    )
    runner.train(run, log=lambda line: print(line, flush=True))
    return score_table.read_summaries([workdir])[0] | {"algo": method}


def _rows(summaries: Summaries) -> list[dict[str, Any]]:
    return [
        dict(zip(_COLUMNS, (name, method, seed, summary["steps"], score), strict=True))
        for (name, method), summary in summaries.items()
        for seed, score in zip(
            summary["seeds"], summary["normalized_score"]["per_seed"], strict=True
        )
    ]


def format_tables(summaries: Summaries, methods: Sequence[str]) -> str:
    """Mean and standard deviation by task, then interquartile means by suite.

    The published scores in the first are of other data and other numbers of steps.
    """
    # Not before there is something to show: scipy takes a second.
    from experiments.lib import intervals, markdown

    by_task = score_table.format_table(
        list(summaries.values()), score_table.published()
    )
    suites = list(dict.fromkeys(tasks.get(name).suite for name, _ in summaries))
    lines = []
    for method in methods:
        line = [method]
        for suite in suites:
            scores = [
                summary["normalized_score"]["per_seed"]
                for (name, one), summary in summaries.items()
                if one == method and tasks.get(name).suite == suite
            ]
            line.append(intervals.iqm_text(np.array(scores)) if scores else "-")
        lines.append(line)
    header = ["method", *(f"{suite}, IQM [95 %]" for suite in suites)]
    return f"{by_task}\n\n{markdown.table(header, lines)}"


if __name__ == "__main__":
    cli.run(main)
