"""Plays a trained run under a grid of knobs, without retraining.

python -m experiments.sweep --workdir=runs/maze2d-medium-v1/gem/seed0 \
    --num_candidates=0,1,16,64 --kappa=0,1

Every knob takes a list, and the grid is their product. The table is a CSV file with a
line a setting and seed; the same command continues one that was interrupted.
"""

from __future__ import annotations

import csv
import dataclasses
import io
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from absl import flags

from experiments import cli, rescoring
from gem_jax import errors
from gem_jax.data import progress
from gem_jax.inference import Knobs
from gem_jax.training import rundir

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_EPISODES = flags.DEFINE_integer("episodes", 100, "Whole episodes a seed.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Default: WORKDIR/sweep.csv.")
_TYPES = {field.name: type(field.default) for field in dataclasses.fields(Knobs)}
for _name in _TYPES:
    flags.DEFINE_list(_name, None, "Values; see gem_jax.inference.Knobs.")

_SETTING = ("env", "algo", "source", "settings", "step", "seed", "episodes", *_TYPES)
_MEASURED = (
    *("normalized_score", "success_rate", "length_mean", "support_z"),
    *("violation_rate", "collapse_dist", "env_steps_per_second"),
)
COLUMNS = _SETTING + _MEASURED
Row = Mapping[str, str]  # cells of the table, as text


def main(argv: list[str]) -> None:
    """Plays what the table lacks, then prints the mean over seeds of every setting."""
    cli.no_arguments(argv)
    run = rescoring.load(pathlib.Path(_WORKDIR.value), _CHECKPOINT.value)
    grid = list(product(asked_values()))
    variants = [run.with_knobs(setting) for setting in grid]
    output = pathlib.Path(_OUTPUT.value or f"{_WORKDIR.value}/sweep.csv")
    table = read_table(output)
    missing = [v for v in variants if not _settings(v) <= table.keys()]
    bar = progress.Progress("sweep", len(missing), "settings")
    for rows in rescoring.play(missing, _EPISODES.value):
        append_rows(output, rows, table)
        bar.add(1)
    for setting, variant in zip(grid, variants, strict=True):
        print(format_setting(setting, [table[key] for key in _settings(variant)]))
    print(f"in {output}")


def asked_values() -> dict[str, list[Any]]:
    """The lists on the command line, converted to the types of the knobs.

    Raises:
      UserError: no list is given, or a value has another type.
    """
    asked = {}
    for name, kind in _TYPES.items():
        texts = flags.FLAGS[name].value
        if texts is None:
            continue
        try:
            asked[name] = [kind(text) for text in texts]
        except ValueError:
            wanted = {int: "whole numbers", float: "numbers"}[kind]
            raise errors.UserError(
                f"--{name} takes {wanted} with commas between, got {','.join(texts)}"
            ) from None
    if not asked:
        raise errors.UserError("nothing to sweep; give a list, say --kappa=0,1,2")
    return asked


def product(values: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values."""
    for combination in itertools.product(*values.values()):
        yield dict(zip(values, combination, strict=True))


def read_table(path: pathlib.Path) -> dict[tuple[str, ...], Row]:
    """Rows by what they were measured for; drops a half-written last line.

    Raises:
      UserError: the file is another kind of table.
    """
    if not path.exists():
        return {}
    text = path.read_text()
    whole = text[: text.rfind("\n") + 1]
    if whole.split("\n", 1)[0] != ",".join(COLUMNS):
        raise errors.UserError(
            f"{path} is not a table of this program; choose another --output"
        )
    if whole != text:  # interrupted while writing
        rundir.write_text(path, whole)
    rows = csv.DictReader(whole.splitlines())
    return {tuple(row[name] for name in _SETTING): row for row in rows}


def append_rows(
    path: pathlib.Path,
    rows: Sequence[Mapping[str, Any]],
    table: dict[tuple[str, ...], Row],
) -> None:
    """Adds a setting's rows to the file and to ``table``, but for those it holds."""
    new = {_key(row): _flat(row) for row in rows}
    new = {key: row for key, row in new.items() if key not in table}
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    if not path.exists():
        writer.writeheader()
    writer.writerows(new.values())
    rundir.append_text(path, text.getvalue())
    table |= new


def format_setting(setting: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """One line: the setting, the score's mean and std over seeds, the audits."""

    def column(name: str) -> np.ndarray:
        return np.array([float(row[name] or "nan") for row in rows])

    score = column("normalized_score")
    named = " ".join(f"{name}={value}" for name, value in setting.items())
    return (
        f"{named}: score {np.mean(score):.1f} +- {np.std(score):.1f}, support z "
        f"{np.mean(column('support_z')):.2f}, violations "
        f"{np.mean(column('violation_rate')):.4f}, collapse "
        f"{np.mean(column('collapse_dist')):.3f} ({len(rows)} seeds)"
    )


def _settings(run: rescoring.TrainedRun) -> set[tuple[str, ...]]:
    """The keys under which a run's rows stand in the table."""
    knobs = dataclasses.asdict(run.policies[0].knobs)
    rows = [
        origin | {"episodes": _EPISODES.value, "knobs": knobs}
        for origin in run.origins()
    ]
    return {_key(row) for row in rows}


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    flat = _flat(row)
    return tuple(flat[name] for name in _SETTING)


def _flat(row: Mapping[str, Any]) -> dict[str, str]:
    cells = {**row, **row["knobs"]}
    values = ((name, cells.get(name)) for name in COLUMNS)
    return {name: "" if value is None else str(value) for name, value in values}


if __name__ == "__main__":
    cli.run(main)
