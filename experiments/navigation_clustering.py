"""How clustering goes, epoch by epoch: what the figure of the experiment shows."""

from __future__ import annotations

import json
import pathlib
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import clustering, data
from gem_jax.ops import normalize
from gem_jax.training import rundir

_MAX_TRANSITIONS = 100_000

Rows = list[dict[str, Any]]


def measure(path: pathlib.Path, dataset: data.OfflineDataset, config: Any) -> Rows:
    """A row an epoch: stage, posterior entropy (nats), Rand index.

    Clusters some of the trajectories with the settings of EMPO's first phases; the true
    labels are used for the index alone. The file at ``path`` is read if it is there.
    """
    if path.exists():
        rows: Rows = json.loads(path.read_text())["epochs"]
        return rows
    trajectories, truth = some_trajectories(dataset)
    rows = []

    def note(epoch: clustering.Epoch) -> None:
        assignment = np.asarray(epoch.state.posterior).argmax(axis=1)
        rows.append(
            {
                "epoch": epoch.number,
                "stage": epoch.stage,
                "entropy": float(epoch.metrics["policies/posterior_entropy"]),
                "rand_index": clustering.rand_index(truth, assignment),
            }
        )

    settings = config.clustering()
    fit = clustering.fit(jax.random.key(0), trajectories, settings, on_epoch=note)
    final = clustering.rand_index(truth, fit.assignment)
    rundir.write_json(path, {"epochs": rows, "final_rand_index": final})
    return rows


def some_trajectories(
    dataset: data.OfflineDataset, max_transitions: int = _MAX_TRANSITIONS
) -> tuple[clustering.Trajectories, np.ndarray]:
    """Every n-th trajectory, observations normalized, and their true labels `[J]`."""
    assert dataset.policy is not None  # local navigation data have it
    stride = -(-len(dataset.policy) // max_transitions)
    episode_id = dataset.episode_id
    kept = np.flatnonzero(episode_id % stride == 0)
    observation = jnp.asarray(dataset.transitions.observation[kept])
    trajectories = clustering.Trajectories(
        observation=normalize.fit_normalizer(observation)(observation),
        action=jnp.asarray(dataset.transitions.action[kept]),
        episode=jnp.asarray(episode_id[kept] // stride, jnp.int32),
    )
    return trajectories, dataset.policy[dataset.episode_offsets[:-1:stride]]
