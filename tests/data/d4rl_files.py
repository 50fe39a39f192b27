from __future__ import annotations

import h5py
import numpy as np

from gem_jax import data
from gem_jax.data import tasks


def write(path, task_name, num=10, **changes):
    """A file of random numbers in D4RL's layout; returns its arrays."""
    task = tasks.get(task_name)
    rng = np.random.default_rng(0)
    arrays = {
        "observations": rng.normal(size=(num, task.observation_size)),
        "actions": rng.uniform(-1, 1, (num, task.action_size)),
        "rewards": np.arange(num) % 2,
        "terminals": np.zeros(num, bool),
        "timeouts": np.arange(num) % 5 == 4,
        **changes,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return arrays


def load(name, source, **options):
    """The dataset and the lines that were logged."""
    lines = []
    options = {"progress": False, "log": lines.append, **options}
    return data.load(name, source, **options), lines
