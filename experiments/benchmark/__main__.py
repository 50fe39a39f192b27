"""Trains a grid of methods and tasks, and prints one table.

python -m experiments.benchmark --methods=bc,percent_bc,iql,gem \
    --envs=hopper-medium-v2,walker2d-medium-v2 --num_seeds=3 --output=runs/benchmark

Among tasks ``locomotion``, ``antmaze`` and ``maze2d`` stand for those of the suite that
have published scores, ``all`` for those of the three. The name of one of OGBench's
sets, such as ``cube-double-play-v0``, stands for its five tasks; the mean over these is
printed too.

Each pair has a run folder ``OUTPUT/ENV/METHOD``; the same command continues what was
interrupted and skips what is complete, and with more ``--num_seeds`` trains those that
lack, in ``METHOD+seedS`` beside it. A pair that cannot be trained is named at the end,
and the others go on. ``OUTPUT/scores.csv`` has the score of every seed,
``OUTPUT/table.csv`` a line a pair with its speed, and ``OUTPUT/table.md`` the tables,
with the settings that differ from the papers'. ``--status`` says how far each pair is,
and why it failed.
"""

from __future__ import annotations

import pathlib
import shlex
import sys
import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from experiments.benchmark import five_tasks, groups, seeds, status
from experiments.lib import cli, csv_rows
from experiments.table import scores as score_table
from gem_jax import errors
from gem_jax.data import tasks
from gem_jax.runs import departures, presets, resolve, run_record, runner
from gem_jax.training import rundir

_METHODS = flags.DEFINE_list("methods", None, "Algorithms.")
_ENVS = flags.DEFINE_list("envs", None, "Tasks.")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 3, "Of each pair.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first seed.", lower_bound=0, upper_bound=2**31 - 1
)
_PRESET = flags.DEFINE_string(
    "preset", None, "paper, best, laptop or smoke; by default chosen by the device."
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Gradient steps of every method's last phase.", lower_bound=1
)
_SOURCE = flags.DEFINE_string("source", "auto", "Of the data, as for training.")
_STATUS = flags.DEFINE_bool("status", False, "Train nothing; say what is there.")
_OUTPUT = flags.DEFINE_string("output", "runs/benchmark", "Folder of runs and scores.")

SCORES, TABLE, CELLS = "scores.csv", "table.md", "table.csv"
_FORMER_COLUMNS = ("env", "method", "seed", "steps", "normalized_score")
_WITHOUT_SOURCE = (*_FORMER_COLUMNS, "return_mean")
_COLUMNS = (*_WITHOUT_SOURCE, "dataset")
# What ends one pair and not the grid; memory runs out as a RuntimeError.
_FAILURES = (errors.UserError, FloatingPointError, RuntimeError, MemoryError, OSError)
# Other names of methods.
_ALIASES: Mapping[str, str] = {"10%bc": "percent_bc"}
# Where an earlier version kept percent_bc, and what it was there.
_FORMER_FOLDER = "10_percent_bc"
_FORMER_RUN: tuple[str, Mapping[str, Any]] = ("bc", {"best_share": 0.1})


def main(argv: list[str]) -> None:
    """Trains what is missing, keeps the scores, and prints the tables."""
    cli.no_arguments(argv)
    methods, names = _asked("methods", _METHODS.value), _asked("envs", _ENVS.value)
    names = groups.expand(names)
    wanted = range(_SEED.value, _SEED.value + _NUM_SEEDS.value)
    preset = _PRESET.value or presets.default_preset()[0]
    output = pathlib.Path(_OUTPUT.value)
    # All before the first: a mistake is not found after hours.
    runs = {
        (name, method): _resolved(name, method, preset, output, wanted)
        for name in names
        for method in methods
    }
    if _STATUS.value:
        for (name, method), parts in runs.items():
            for run in parts:
                print(f"{_said(name, method, run)}: {status.of(run.workdir)}")
        return
    summaries, failures, fault = _train(runs, preset, wanted, output)
    if summaries:
        # Not before there is something to show: scipy takes a second.
        from experiments.benchmark import tables

        sections = [
            tables.format_tables(summaries, names, methods),
            five_tasks.format_table(summaries, names, methods),
            tables.format_departures(
                {pair: _departures(pair[1], runs[pair][0]) for pair in summaries},
                methods,
            ),
        ]
        text = "\n\n".join(part for part in sections if part)
        rundir.write_text(output / TABLE, f"{text}\n")
        cells = [tables.cell(*pair, summary) for pair, summary in summaries.items()]
        csv_rows.write(output / CELLS, tables.CELL_COLUMNS, cells)
        print(text)
    if failures:
        kind = RuntimeError if fault else errors.UserError
        raise kind(f"not trained: {'; '.join(failures)}")


def _train(
    runs: Mapping[tuple[str, str], Sequence[run_record.Run]],
    preset: str,
    wanted: range,
    output: pathlib.Path,
) -> tuple[dict[tuple[str, str], Mapping[str, Any]], list[str], bool]:
    """What is trained, by task and method; what failed; whether by a fault of ours."""
    summaries: dict[tuple[str, str], Mapping[str, Any]] = {}
    failures, fault = [], False
    for (name, method), parts in runs.items():
        print(f"{name}, {method}, preset {preset}", flush=True)
        read: list[Mapping[str, Any]] = []
        for run in parts:
            try:
                runner.train(run, log=lambda line: print(line, flush=True))
            except _FAILURES as error:
                if not isinstance(error, errors.UserError):
                    fault = True
                    traceback.print_exc()
                failures.append(f"{_said(name, method, run)}: {status.said(error)}")
                status.note_failure(run.workdir, error)
                continue
            read.append(score_table.read_summaries([run.workdir])[0])
        if read:
            summary = summaries[name, method] = seeds.merged(read, wanted)
            _keep(output / SCORES, _rows(method, summary))
    return summaries, failures, fault


def _said(name: str, method: str, run: run_record.Run) -> str:
    """A pair, and the folder of a run that joined later."""
    folder = run.workdir.name
    return f"{name}, {folder if folder.startswith(method) else method}"


def _asked(flag: str, values: Sequence[str] | None) -> list[str]:
    if not values or not all(values):
        raise errors.UserError(f"give --{flag}=NAME,NAME")
    values = [_ALIASES.get(value, value) for value in values]
    if len(set(values)) < len(values):
        raise errors.UserError(f"--{flag} names one twice: {','.join(values)}")
    return values


def _resolved(
    name: str, method: str, preset: str, output: pathlib.Path, wanted: range
) -> list[run_record.Run]:
    """The runs that have the wanted seeds of a pair."""
    task = tasks.get(name)
    folder, algo = output / task.name / method, method
    data: Mapping[str, Any] = {}
    former = folder.with_name(_FORMER_FOLDER)
    if method == "percent_bc" and former.exists() and not folder.exists():
        folder, (algo, data) = former, _FORMER_RUN
    return [
        resolve.resolve(
            task,
            algo,
            preset,
            source=_SOURCE.value,
            seeds=own,
            workdir=path,
            data=data,
            config={} if _STEPS.value is None else {"num_steps": _STEPS.value},
            command=shlex.join(
                ["python", "-m", "experiments.benchmark", *sys.argv[1:]]
            ),
        )
        for path, own in seeds.runs(folder, wanted).items()
    ]


def _departures(method: str, run: run_record.Run) -> dict[str, tuple[str, str]]:
    found = departures.of(run)
    if run.algo != method:  # its former name; then the share is what the method is
        found.pop("best_share")
    return found


def _rows(method: str, summary: Mapping[str, Any]) -> list[csv_rows.Row]:
    """A row a seed; empty cells for what the task does not give."""
    env, steps = summary["env"], summary["steps"]
    rows: list[csv_rows.Row] = []
    for i, seed in enumerate(summary["seeds"]):
        found = [summary.get(n) for n in ("normalized_score", "return_mean")]
        cells = [str(one["per_seed"][i]) if one else "" for one in found]
        values = (env, method, str(seed), str(steps), *cells, summary["dataset"])
        rows.append(dict(zip(_COLUMNS, values, strict=True)))
    return rows


def _keep(path: pathlib.Path, rows: Sequence[csv_rows.Row]) -> None:
    """Puts rows into the file, in place of those of the same seeds."""

    def place(row: csv_rows.Row) -> tuple[str, ...]:
        method = row["method"]
        return row["env"], _ALIASES.get(method, method), row["seed"]

    there = csv_rows.read(path, _COLUMNS, _FORMER_COLUMNS, _WITHOUT_SOURCE)
    by_place = {place(row): row for row in [*there, *rows]}
    csv_rows.write(path, _COLUMNS, list(by_place.values()))


if __name__ == "__main__":
    cli.run(main)
