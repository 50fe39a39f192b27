"""Measures how well a run's scores rank actions, by what the actions lead to.

python -m experiments.ranking --workdir=runs/maze2d-medium-v1/gem/seed0 --states=30

In states that the run's own rule visits, each of its candidates is tried: the episode
is played again up to that state, the candidate executed, and the anchor followed to the
end. Its discounted return says whether the score ranks the candidates, what the choice
gains over the anchor, and what the best of them would gain: a bound on any choice among
them. Every knob of the run's algorithm is a flag; the table is a CSV file with a line a
state and candidate, written anew.
"""

from __future__ import annotations

import pathlib

from absl import flags

from experiments.lib import cli, csv_rows, knob_flags, reevaluation
from experiments.ranking import branches, report, trying
from gem_jax import run_settings
from gem_jax.training import rundir
from gem_jax.utils import progress

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_STATES = flags.DEFINE_integer(
    "states", 30, "States a seed, each of an episode of its own.", lower_bound=1
)
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Default: WORKDIR/ranking.csv.")

_HEADER = "env,algo,source,settings,step,seed,state,reset_seed,"


def parse(argv: list[str]) -> list[str]:
    """The run tells which knobs become flags."""
    return knob_flags.parse(argv, _WORKDIR)


def main(argv: list[str]) -> None:
    """Tries the candidates of every seed's states, writes and sums up."""
    cli.no_arguments(argv)
    folder = pathlib.Path(_WORKDIR.value)
    run = reevaluation.load(folder, _CHECKPOINT.value)
    run = run.with_knobs(knob_flags.given(run.policies[0].knobs))
    judge = trying.make_judge(run.policies[0])
    reevaluation.require_memory([run])
    output = pathlib.Path(_OUTPUT.value or folder / "ranking.csv")
    _make_way(output)
    config, _ = run_settings.settings(run.record)
    rows: list[trying.Row] = []
    states, discount = _STATES.value, config.discount
    bar = progress.Progress("ranking", states * len(run.policies), "states")
    with branches.make_player(run.task) as play:
        for origin, policy in zip(run.origins(), run.policies, strict=True):
            seed = origin["seed"]
            for tried in trying.try_all(play, judge, policy, states, seed, discount):
                new = [origin | row for row in tried]
                csv_rows.append(output, list(new[0]), new)
                rows += new
                bar.add(1)
    print(report.summary(rows))
    print(f"in {output}")


def _make_way(output: pathlib.Path) -> None:
    """Removes a former table, and nothing else.

    Raises:
      UserError: the file is something else.
    """
    if output.exists() and not csv_rows.header(output).startswith(_HEADER):
        raise csv_rows.foreign(output)
    with rundir.writing(output):
        output.unlink(missing_ok=True)


if __name__ == "__main__":
    cli.run(main, parse)
