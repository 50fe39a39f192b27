"""How a policy's AntMaze episodes end: at the goal, the ant on its back, or still.

    python -m experiments.behaviors.watch_ant --workdir=RUN --num_candidates=64

Every knob of the run's algorithm is a flag, as of ``experiments.evaluate``. A line a
seed: the shares of episodes that end so, of steps that are made upright, and how far
(m) an upright step goes.
"""

from __future__ import annotations

import jax
import numpy as np
from absl import flags

from experiments.behaviors import ant_measures
from experiments.lib import cli, knob_flags, reevaluation
from gem_jax import errors
from gem_jax.data.task import Task
from gem_jax.envs.checked import CheckedEnv
from gem_jax.policy import Policy
from gem_jax.training import evaluation

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_EPISODES = flags.DEFINE_integer("episodes", 16, "Of each seed.", lower_bound=1)


def parse(argv: list[str]) -> list[str]:
    """The run tells which knobs become flags."""
    return knob_flags.parse(argv, _WORKDIR)


def main(argv: list[str]) -> None:
    """Prints a line a seed."""
    cli.no_arguments(argv)
    (workdir,) = cli.folders([_WORKDIR.value])
    run = reevaluation.load(workdir)
    if run.task.suite != "antmaze":
        raise errors.UserError(f"{workdir} is a run on {run.task.name}, not AntMaze")
    run = run.with_knobs(knob_flags.given(run.policies[0].knobs))
    for seed, policy in zip(run.record["seeds"], run.policies, strict=True):
        tracks = watch(policy, run.task, _EPISODES.value, seed)
        found = "  ".join(
            f"{name} {x:.3f}"
            for name, x in ant_measures.endings(tracks, run.task.horizon).items()
        )
        print(f"seed {seed}: {found}", flush=True)


def watch(policy: Policy, task: Task, episodes: int, seed: int) -> list[np.ndarray]:
    """The observations `[T + 1, 29]` of whole episodes, side by side."""
    environments = [CheckedEnv(task) for _ in range(episodes)]
    seen = np.stack([env.reset(seed=i)[0] for i, env in enumerate(environments)])
    tracks = [[row] for row in seen]
    alive = np.ones(episodes, bool)
    key, t = evaluation.seed_key(seed), 0
    while alive.any():
        steps = np.full(episodes, t, np.float32)
        actions = np.asarray(policy.act(jax.random.fold_in(key, t), seen, steps).action)
        for i in np.flatnonzero(alive):
            seen[i], _, terminated, truncated, _ = environments[i].step(actions[i])
            tracks[i].append(seen[i].copy())
            alive[i] = not (terminated or truncated)
        t += 1
    return [np.stack(track) for track in tracks]


if __name__ == "__main__":
    cli.run(main, parse)
