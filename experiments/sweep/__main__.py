"""Evaluates trained runs under a grid of knobs, without retraining.

python -m experiments.sweep --workdir=runs/maze2d-medium-v1/gem/seed0 \
    --num_candidates=0,1,16,64 --kappa=0,1 --ablations

Every knob of the runs' algorithm takes a list, and the grid is their product;
``--ablations`` adds the paper's, one change each. The runs' own knobs are always among
the settings. The table is a CSV file with a line a setting and seed; the same command
continues one that was interrupted. At the end the best setting by one half of the
episodes is reported by the other, and figures lie beside the table.
"""

from __future__ import annotations

import itertools
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from absl import flags

from experiments.lib import cli, evaluations, knob_flags, reevaluation
from experiments.lib.reevaluation import TrainedRun
from gem_jax import algorithms, errors, proposing
from gem_jax.training import rundir
from gem_jax.utils import progress

_WORKDIR = flags.DEFINE_list("workdir", None, "Run folders of one task.")
_EPISODES = flags.DEFINE_integer("episodes", 100, "Whole episodes a seed.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Default: the first WORKDIR/sweep.csv.")
_PROPOSER = flags.DEFINE_string(
    "proposer", None, "Another run folder, whose policy proposes the candidates."
)
_ABLATIONS = flags.DEFINE_bool("ablations", False, "Also run the paper's ablations.")

Setting = Mapping[str, Any]  # knobs that differ from the run's own


def parse(argv: list[str]) -> list[str]:
    """Parses twice: the first run tells which knobs become flags."""

    def define(_: list[str]) -> None:
        first = cli.folders(_WORKDIR.value)[0]
        knob_flags.define_lists(knob_flags.of_run(str(first)))

    return cli.parse_twice(argv, define)


def main(argv: list[str]) -> None:
    """Evaluates what the table lacks, then prints and draws what came out."""
    cli.no_arguments(argv)
    folders = cli.folders(_WORKDIR.value)
    knobs = knob_flags.of_run(str(folders[0]))
    if not knob_flags.names(knobs):
        raise errors.UserError(f"the algorithm of {folders[0]} has no knobs to sweep")
    proposer = cli.folder("proposer", _PROPOSER.value)
    ablations = _ablations(folders[0])
    if proposer is not None:
        ablations = {
            name: setting
            for name, setting in ablations.items()
            if not proposing.without_effect(setting)
        }
    settings = asked_settings(knob_flags.given_lists(knobs), ablations)
    runs = [
        reevaluation.load(folder, _CHECKPOINT.value, proposer) for folder in folders
    ]
    reevaluation.require_one_task(runs)
    runs = [run.with_knobs(knob_flags.given_plain(knobs)) for run in runs]
    variants = distinct(runs, settings)
    table = evaluations.Table(
        pathlib.Path(_OUTPUT.value or folders[0] / _default_name(runs[0])),
        _EPISODES.value,
        runs[0].policies[0],
    )
    missing = [
        changed[i]
        for i in range(len(runs))
        for _, changed in variants
        if not table.holds(changed[i])
    ]
    bar = progress.Progress("sweep", len(missing), "settings")
    for rows in reevaluation.evaluate(missing, _EPISODES.value):
        table.append(rows)
        bar.add(1)
    # Not before there is something to show: matplotlib and scipy take a second.
    from experiments.sweep import figures, report

    results = [
        report.Result(
            setting,
            [row for run in changed for row in table.rows(run)],
            [run.policies[0].knobs for run in changed],
            runs[0].policies[0].diagnostics,
            runs[0].task,
        )
        for setting, changed in variants
    ]
    print(report.format_results(results))
    drawn = figures.draw(results, table.path, ablations)
    print(f"in {', '.join(map(str, [table.path, *drawn]))}")


def _default_name(run: TrainedRun) -> str:
    """Of the table, and of the figures beside it."""
    if run.proposer is None:
        return evaluations.SWEEP
    return f"sweep_among_{run.proposer.record['algo']}.csv"


def _ablations(folder: pathlib.Path) -> Mapping[str, Setting]:
    """The paper's, as the algorithm declares them, if they are asked for."""
    if not _ABLATIONS.value:
        return {}
    algo = rundir.read_json(folder / rundir.CONFIG)["algo"]
    declared: Mapping[str, Setting] = getattr(algorithms.lookup(algo), "ABLATIONS", {})
    if not declared:
        raise errors.UserError(f"{algo} has no ablations of acting; drop --ablations")
    return declared


def asked_settings(
    asked: Mapping[str, Sequence[Any]], ablations: Mapping[str, Setting]
) -> list[Setting]:
    """The runs' own setting, the grid of the lists, and the ablations.

    Raises:
      UserError: nothing is asked for.
    """
    if not asked and not ablations:
        raise errors.UserError("nothing to sweep; give a list, say --kappa=0,1,2")
    return [{}, *product(asked), *ablations.values()]


def distinct(
    runs: Sequence[TrainedRun], settings: Sequence[Setting]
) -> list[tuple[Setting, tuple[TrainedRun, ...]]]:
    """Each setting with the runs that have it; of those with equal knobs the first.

    A value that is the runs' own makes another setting, and the same knobs.
    """
    first: dict[tuple[Any, ...], tuple[Setting, tuple[TrainedRun, ...]]] = {}
    for setting in settings:
        changed = tuple(run.with_knobs(setting) for run in runs)
        knobs = tuple(run.policies[0].knobs for run in changed)
        first.setdefault(knobs, (setting, changed))
    return list(first.values())


def product(values: Mapping[str, Sequence[Any]]) -> Iterator[Setting]:
    """Every combination of the values; none if there are none."""
    if values:
        for combination in itertools.product(*values.values()):
            yield dict(zip(values, combination, strict=True))


if __name__ == "__main__":
    cli.run(main, parse)
