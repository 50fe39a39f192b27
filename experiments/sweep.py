"""Plays trained runs under a grid of knobs, without retraining.

python -m experiments.sweep --workdir=runs/maze2d-medium-v1/gem/seed0 \
    --num_candidates=0,1,16,64 --kappa=0,1 --ablations

Every knob takes a list, and the grid is their product; ``--ablations`` adds the
paper's, one change each. The runs' own knobs are always among the settings. The table
is a CSV file with a line a setting and seed; the same command continues one that was
interrupted. At the end the best setting by one half of the episodes is reported by the
other, and figures lie beside the table.
"""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from experiments import cli, rescoring, sweep_report, sweep_table
from experiments.rescoring import TrainedRun
from gem_jax import errors
from gem_jax.data import progress
from gem_jax.inference import Knobs

_WORKDIR = flags.DEFINE_list("workdir", None, "Run folders of one task.")
_EPISODES = flags.DEFINE_integer("episodes", 100, "Whole episodes a seed.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Default: the first WORKDIR/sweep.csv.")
_CHUNK = flags.DEFINE_integer("chunk_size", None, "Most candidates at a time.")
_ABLATIONS = flags.DEFINE_bool("ablations", False, "Also play the paper's ablations.")
_TYPES: dict[str, type] = {
    field.name: type(field.default)
    for field in dataclasses.fields(Knobs)
    if field.name in sweep_table.KNOBS
} | {"lambda_schedule": str}
for _name in _TYPES:
    flags.DEFINE_list(_name, None, "Values; see gem_jax.inference.Knobs.")

Setting = Mapping[str, Any]  # knobs that differ from the run's own


def main(argv: list[str]) -> None:
    """Plays what the table lacks, then prints and draws what came out."""
    cli.no_arguments(argv)
    folders = cli.folders(_WORKDIR.value)
    settings = asked_settings()
    runs = [rescoring.load(folder, _CHECKPOINT.value) for folder in folders]
    rescoring.require_one_task(runs)
    if _CHUNK.value is not None:
        runs = [run.with_knobs({"chunk_size": _CHUNK.value}) for run in runs]
    variants = distinct(runs, settings)
    table = sweep_table.Table(
        pathlib.Path(_OUTPUT.value or folders[0] / sweep_table.FILE), _EPISODES.value
    )
    missing = [
        changed[i]
        for i in range(len(runs))
        for _, changed in variants
        if not table.holds(changed[i])
    ]
    bar = progress.Progress("sweep", len(missing), "settings")
    for rows in rescoring.play(missing, _EPISODES.value):
        table.append(rows)
        bar.add(1)
    found = [
        sweep_report.Result(
            setting,
            [row for run in changed for row in table.rows(run)],
            [run.policies[0].knobs for run in changed],
        )
        for setting, changed in variants
    ]
    print(sweep_report.format_results(found))
    drawn = sweep_report.draw(found, table.path)
    print(f"in {', '.join(map(str, [table.path, *drawn]))}")


def asked_settings() -> list[Setting]:
    """The settings on the command line, the runs' own first.

    Raises:
      UserError: nothing is asked for, or a value has another type.
    """
    asked = asked_values()
    if not asked and not _ABLATIONS.value:
        raise errors.UserError("nothing to sweep; give a list, say --kappa=0,1,2")
    ablations = sweep_report.ABLATIONS.values() if _ABLATIONS.value else ()
    return [{}, *product(asked), *ablations]


def distinct(
    runs: Sequence[TrainedRun], settings: Sequence[Setting]
) -> list[tuple[Setting, tuple[TrainedRun, ...]]]:
    """Each setting with the runs that have it; of those with equal knobs the first.

    A value that is the runs' own makes another setting, and the same knobs.
    """
    found: dict[tuple[Any, ...], tuple[Setting, tuple[TrainedRun, ...]]] = {}
    for setting in settings:
        changed = tuple(run.with_knobs(setting) for run in runs)
        knobs = tuple(run.policies[0].knobs for run in changed)
        found.setdefault(knobs, (setting, changed))
    return list(found.values())


def asked_values() -> dict[str, list[Any]]:
    """The lists on the command line, converted to the types of the knobs.

    Raises:
      UserError: a value has another type.
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
    return asked


def product(values: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """Every combination of the values; none if there are none."""
    if values:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))


if __name__ == "__main__":
    cli.run(main)
