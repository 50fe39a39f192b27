"""EMPO's didactic experiment: four methods on navigation-v0, a table and figures.

    python -m experiments.navigation --num_seeds=10 --preset=paper

Only a method that keeps the two behaviors apart, and changes from one to the other,
finds the way around the box. Runs that are finished are not trained again.
"""

from __future__ import annotations

import pathlib
import shlex
import sys

from absl import flags

from experiments.lib import cli
from experiments.navigation import clustering as navigation_clustering
from experiments.navigation import figures as navigation_figures
from experiments.navigation import rollouts as navigation_rollouts
from experiments.navigation import table as navigation_table
from gem_jax import data
from gem_jax.data import tasks
from gem_jax.runs import presets, resolve, run_record, runner
from gem_jax.training import rundir

_WORKDIR = flags.DEFINE_string("workdir", "runs/navigation", "For runs and results.")
_PRESET = flags.DEFINE_enum("preset", None, presets.PRESETS, "By default the device's.")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 10, "Seeds a method.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first seed.", lower_bound=0, upper_bound=2**31 - 1
)
_METHODS = flags.DEFINE_multi_enum(
    *("method", list(navigation_table.METHODS), list(navigation_table.METHODS)),
    "Of the table, all by default; say it once for each.",
)
_EPISODES = flags.DEFINE_integer("episodes", 10, "Rollouts a seed.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Trains what is missing, rolls out, prints the table and draws the figures."""
    cli.no_arguments(argv)
    task = tasks.get("navigation-v0")
    preset = _PRESET.value or presets.default_preset()[0]
    folder = pathlib.Path(_WORKDIR.value).resolve()
    runs = {
        title: make_run(title, task, preset, folder)
        for title in navigation_table.METHODS
        if title in _METHODS.value
    }
    for title, run in runs.items():
        print(f"{title}: {run.workdir}", flush=True)
        runner.train(run)
    first = next(iter(runs.values()))
    options = first.data
    dataset = data.load(
        task.name, num_transitions=options.num_transitions, repair=options.repair
    )
    outcomes = {
        title: navigation_rollouts.roll_out(run, dataset, _EPISODES.value)
        for title, run in runs.items()
    }
    table = {
        "dataset": dataset.provenance.to_dict(),
        "preset": preset,
        "seeds": list(first.seeds),
        "episodes": _EPISODES.value,
        "methods": navigation_table.summarize(outcomes),
    }
    rundir.write_json(folder / "table.json", table)
    print(navigation_table.format_table(outcomes))
    rollouts = {title: outcome.rollouts for title, outcome in outcomes.items()}
    origin = f"{task.name}, data: {dataset.provenance.source}, preset: {preset}"
    navigation_figures.trajectories(folder / "trajectories.png", rollouts, origin)
    if chosen := runs.get("EMPO, K = 2"):
        epochs = navigation_clustering.measure(
            folder / "clustering.json", dataset, chosen.config
        )
        navigation_figures.clustering(folder / "clustering.png", epochs, origin)
        rollout = rollouts["EMPO, K = 2"]
        navigation_figures.choice(folder / "choice.png", rollout, origin)
    print(f"table and figures are in {folder}")


def make_run(
    title: str, task: tasks.Task, preset: str, folder: pathlib.Path
) -> run_record.Run:
    """The run of one method, all seeds side by side."""
    algo, changes = navigation_table.METHODS[title]
    name = "-".join([algo, *(f"{k}{v}" for k, v in changes.items())])
    return resolve.resolve(
        task.name,
        algo,
        preset,
        seeds=range(_SEED.value, _SEED.value + _NUM_SEEDS.value),
        workdir=folder / name,
        config=changes,
        command=shlex.join(["python", "-m", "experiments.navigation", *sys.argv[1:]]),
    )


if __name__ == "__main__":
    cli.run(main)
