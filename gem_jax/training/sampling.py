"""Uniform minibatches from a dataset that lives on the device."""

from __future__ import annotations

import jax

from gem_jax.types import PRNGKey, Transition


def uniform(key: PRNGKey, dataset: Transition, batch_size: int) -> Transition:
    """Draws transitions with replacement; every leaf gets leading axis `[B]`.

    Args:
      key: consumed.
      dataset: leaves with leading axis `[D]`.
      batch_size: `B`, static.
    """
    size = dataset.action.shape[0]
    index = jax.random.randint(key, (batch_size,), 0, size)
    return jax.tree.map(lambda leaf: leaf[index], dataset)
