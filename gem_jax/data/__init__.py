"""Datasets: named tasks, checked readers, local recipes; NumPy arrays come out."""

from gem_jax.data.arrays import from_arrays as from_arrays
from gem_jax.data.loading import OfflineDataset as OfflineDataset
from gem_jax.data.loading import Provenance as Provenance
from gem_jax.data.loading import load as load
from gem_jax.data.loading import read as read
from gem_jax.data.options import DataOptions as DataOptions
from gem_jax.data.task import Task as Task
from gem_jax.data.task_file import read_task as read_task

__all__ = [
    *("DataOptions", "OfflineDataset", "Provenance", "Task", "from_arrays", "load"),
    *("read", "read_task"),
]
