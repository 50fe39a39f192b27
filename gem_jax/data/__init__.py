"""Datasets: named tasks, checked readers, local recipes; NumPy arrays come out."""

from gem_jax.data.arrays import from_arrays as from_arrays
from gem_jax.data.loading import OfflineDataset as OfflineDataset
from gem_jax.data.loading import Provenance as Provenance
from gem_jax.data.loading import load as load
from gem_jax.data.loading import read as read
from gem_jax.data.options import DataOptions as DataOptions

__all__ = ["DataOptions", "OfflineDataset", "Provenance", "from_arrays", "load", "read"]
