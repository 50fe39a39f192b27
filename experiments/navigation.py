"""EMPO's didactic experiment: four methods on navigation-v0, a table and figures.

    python -m experiments.navigation --num_seeds=10 --preset=paper

Only a method that keeps the two behaviors apart, and changes from one to the other,
finds the way around the box. Runs that are finished are not trained again.
"""

from __future__ import annotations

import dataclasses
import functools
import pathlib
import shlex
import sys
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments import (
    cli,
    configs,
    labeled_trajectories,
    navigation_clustering,
    navigation_figures,
    navigation_table,
    presets,
    rescoring,
    run_record,
    runner,
)
from gem_jax import clustering, data
from gem_jax.data import tasks
from gem_jax.envs import navigation_rollout
from gem_jax.policy import rebuild
from gem_jax.training import checkpoint, evaluation, loop, rundir

_WORKDIR = flags.DEFINE_string("workdir", "runs/navigation", "For runs and results.")
_PRESET = flags.DEFINE_enum("preset", None, presets.PRESETS, "By default the device's.")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 10, "Seeds a method.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "The first seed.", lower_bound=0)
_EPISODES = flags.DEFINE_integer("episodes", 10, "Rollouts a seed.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Trains what is missing, plays, prints the table and draws the figures."""
    cli.no_arguments(argv)
    task = tasks.get("navigation-v0")
    preset = _PRESET.value or presets.default_preset()[0]
    folder = pathlib.Path(_WORKDIR.value).resolve()
    runs = {
        title: make_run(title, task, preset, folder)
        for title in navigation_table.METHODS
    }
    for title, run in runs.items():
        print(f"{title}: {run.workdir}", flush=True)
        if not runner.train(run):
            return
    cadence = runs["BC"].cadence
    dataset = data.load(
        task.name, num_transitions=cadence.num_transitions, repair=cadence.repair
    )
    outcomes = {title: play(run, dataset) for title, run in runs.items()}
    rundir.write_json(folder / "table.json", navigation_table.summarize(outcomes))
    print(navigation_table.format_table(outcomes))
    epochs = navigation_clustering.measure(
        folder / "clustering.json", dataset, runs["EMPO, K = 2"].config
    )
    rollouts = {title: outcome.rollouts for title, outcome in outcomes.items()}
    navigation_figures.trajectories(folder / "trajectories.png", rollouts)
    navigation_figures.clustering(folder / "clustering.png", epochs)
    navigation_figures.choice(folder / "choice.png", rollouts["EMPO, K = 2"])
    print(f"table and figures are in {folder}")


def make_run(
    title: str, task: tasks.Task, preset: str, folder: pathlib.Path
) -> run_record.Run:
    """The run of one method, all seeds side by side."""
    algo, changes = navigation_table.METHODS[title]
    config = configs.get_config(algo, task, preset)
    config = dataclasses.replace(config, **changes)
    name = "-".join([algo, *(f"{k}{v}" for k, v in changes.items())])
    return run_record.Run(
        task=task,
        algo=algo,
        config=config,
        source="auto",
        preset=preset,
        cadence=presets.cadence(preset, task, config.num_steps),
        seeds=tuple(range(_SEED.value, _SEED.value + _NUM_SEEDS.value)),
        workdir=folder / name,
        command=shlex.join(["python", "-m", "experiments.navigation", *sys.argv[1:]]),
    )


def play(run: run_record.Run, dataset: data.OfflineDataset) -> navigation_table.Outcome:
    """Rollouts of every seed's final policy, all in one compiled program."""
    policies = rescoring.load(run.workdir).policies
    act, knobs = policies[0].algorithm.act, policies[0].knobs
    stack = functools.partial(jax.tree.map, lambda *leaves: jnp.stack(leaves))
    params = stack(*(policy.params for policy in policies))
    keys = jnp.stack([evaluation.seed_key(seed) for seed in run.seeds])

    def roll(params: Any, key: jax.Array) -> navigation_rollout.Rollout:
        def decide(key: jax.Array, observation: jax.Array, t: jax.Array) -> Any:
            output = act(params, key, observation, t, knobs)
            return output.action, output.audit

        return navigation_rollout.rollout(decide, key, _EPISODES.value)

    rollouts = jax.device_get(jax.jit(jax.vmap(roll))(params, keys))
    several = run.algo == "empo" and run.config.num_clusters > 1
    return navigation_table.Outcome(
        rollouts, rand_indices(run, dataset) if several else None
    )


def rand_indices(run: run_record.Run, dataset: data.OfflineDataset) -> np.ndarray:
    """`[seeds]` agreement of EMPO's labels with the policies that acted."""
    truth = labeled_trajectories.labels(dataset)
    record = rundir.read_json(run.workdir / rundir.CONFIG)
    algorithm, _ = rebuild(record)
    keys = loop.seed_keys(run.seeds)
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(
        run.workdir, record["identity"], read_only=True
    ) as store:
        restored = checkpoint.restore(store, like)
    assert restored is not None  # the run is finished
    labels = np.asarray(restored.state.label)
    return np.array([clustering.rand_index(truth, label) for label in labels])


if __name__ == "__main__":
    cli.run(main)
