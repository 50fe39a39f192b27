"""How clustering goes, epoch by epoch: what the figure of the experiment shows."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

import jax
import numpy as np

from experiments.lib import labeled_trajectories
from gem_jax import clustering, data
from gem_jax.training import rundir

_MAX_TRANSITIONS = 100_000

Rows = list[dict[str, Any]]


def measure(path: pathlib.Path, dataset: data.OfflineDataset, config: Any) -> Rows:
    """A row an epoch: stage, posterior entropy (nats), Rand index.

    Clusters some of the trajectories with the settings of EMPO's first phases; the true
    labels are used for the index alone, which is that of the weights of an EM epoch's
    M-step and ``None`` before: there weights are drawn or even, whatever was learned.
    The file at ``path`` is read if it holds the same data's and settings'.
    """
    names = [field.name for field in dataclasses.fields(clustering.Settings)]
    settings = {name: getattr(config, name) for name in names}
    identity = {
        "dataset": dataset.provenance.sha256,
        "settings": json.loads(json.dumps(settings)),  # tuples as they are read
    }
    if path.exists():
        known = rundir.read_json(path)
        if {name: known.get(name) for name in identity} == identity:
            rows: Rows = known["epochs"]
            return rows
    trajectories, truth = labeled_trajectories.subsample(dataset, _MAX_TRANSITIONS)
    rows = []

    def rand_index(epoch: clustering.Epoch) -> float:
        assignment = np.asarray(epoch.state.posterior).argmax(axis=1)
        return clustering.rand_index(truth, assignment)

    def note(epoch: clustering.Epoch) -> None:
        rows.append(
            {
                "epoch": epoch.number,
                "stage": epoch.stage,
                "entropy": float(epoch.metrics["policies/posterior_entropy"]),
                "rand_index": rand_index(epoch) if epoch.stage == "em" else None,
            }
        )

    fit = clustering.fit(jax.random.key(0), trajectories, config, on_epoch=note)
    final = clustering.rand_index(truth, fit.assignment)
    rundir.write_json(path, identity | {"epochs": rows, "final_rand_index": final})
    return rows
