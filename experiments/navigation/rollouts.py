"""Rollouts of finished runs on the navigation task, all seeds and episodes at once."""

from __future__ import annotations

import functools
from typing import Any

import jax
import numpy as np

from experiments.lib import labeled_trajectories
from experiments.navigation import table as navigation_table
from gem_jax import acting, clustering, data, run_settings
from gem_jax.algorithm import Algorithm
from gem_jax.envs import navigation_rollout
from gem_jax.runs import run_record
from gem_jax.training import checkpoint, evaluation, loop, rundir


def roll_out(
    run: run_record.Run, dataset: data.OfflineDataset, num_episodes: int
) -> navigation_table.Outcome:
    """Rollouts of every seed's final policy, in one compiled program.

    Args:
      run: finished.
      dataset: what it was trained on; tells how good EMPO's clusters are.
      num_episodes: a seed.
    """
    algorithm, num_steps, state = restore(run)
    params = jax.vmap(functools.partial(loop.policy_params, algorithm))(state)
    step = acting.make_step(algorithm)
    keys = jax.numpy.stack([evaluation.seed_key(seed) for seed in run.seeds])

    def roll(params: Any, key: jax.Array) -> navigation_rollout.Rollout:
        def decide(key: jax.Array, observation: jax.Array, t: jax.Array) -> Any:
            seen = acting.Seen(observation, t)
            output, _ = step(params, key, (), seen, algorithm.knobs)
            return output.action, output.audit

        return navigation_rollout.rollout(decide, key, num_episodes)

    rollouts = jax.device_get(jax.jit(jax.vmap(roll))(params, keys))
    several = run.algo == "empo" and run.config.num_clusters > 1
    rand = rand_indices(state.algorithm.label, dataset) if several else None
    return navigation_table.Outcome(rollouts, rand, num_steps)


def restore(run: run_record.Run) -> tuple[Algorithm, int, loop.State]:
    """A finished run's algorithm, updates, and state with a leading axis of seeds."""
    record = rundir.read_json(run.workdir / rundir.CONFIG)
    algorithm, _ = run_settings.rebuild(record)
    keys = loop.seed_keys(run.seeds)
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(
        run.workdir, record["identity"], read_only=True
    ) as store:
        restored = checkpoint.restore(store, like)
    assert restored is not None  # the run is finished
    return algorithm, restored.step, restored.state


def rand_indices(labels: jax.Array, dataset: data.OfflineDataset) -> np.ndarray:
    """`[seeds]` agreement of labels `[seeds, J]` with the policies that acted."""
    truth = labeled_trajectories.labels(dataset)
    return np.array([clustering.rand_index(truth, one) for one in np.asarray(labels)])
