"""Minibatches from a dataset that lives on the device: at random, or in order."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gem_jax.types import Array, PRNGKey, Transition

# Extras for windows: how many steps follow in the same trajectory; of a window's steps,
# 0 for those beyond its trajectory.
AFTER = "after"
VALID = "valid"


def uniform(
    key: PRNGKey, dataset: Transition, batch_size: int, step: Array | int
) -> Transition:
    """Draws transitions with replacement; every leaf gets leading axis `[B]`.

    Args:
      key: consumed.
      dataset: leaves with leading axis `[D]`.
      batch_size: `B`, static.
      step: of the phase; the draw depends on the key alone.
    """
    del step
    size = dataset.action.shape[0]
    index = jax.random.randint(key, (batch_size,), 0, size, jnp.int32)
    return jax.tree.map(lambda leaf: leaf[index], dataset)


def windows(length: int) -> Callable[..., Transition]:
    """A ``sample`` of `B` stretches of trajectories; leaves get axes `[B, length]`.

    Each begins at a step drawn with replacement from the whole dataset, so a trajectory
    is taken in proportion to its length. Where it ends early all leaves are 0 from
    there on, and so is ``extras["valid"]``, which is 1 before. The dataset has
    ``extras["after"]``, int32: how many steps follow each in its trajectory.
    """

    def sample(
        key: PRNGKey, dataset: Transition, batch_size: int, step: Array | int
    ) -> Transition:
        del step
        size = dataset.action.shape[0]
        first = jax.random.randint(key, (batch_size, 1), 0, size, jnp.int32)
        ahead = jnp.arange(length, dtype=jnp.int32)[None]
        row = jnp.minimum(first + ahead, size - 1)
        valid = ahead <= dataset.extras[AFTER][first]

        def gather(leaf: Array) -> Array:
            taken = leaf[row]
            kept = valid.reshape(*valid.shape, *[1] * (taken.ndim - 2))
            return jnp.where(kept, taken, jnp.zeros((), leaf.dtype))

        batch = jax.tree.map(gather, dataset)
        extras = {**batch.extras, VALID: valid.astype(jnp.float32)}
        return batch._replace(extras=extras)

    return sample


def in_order(
    key: PRNGKey, dataset: Transition, batch_size: int, step: Array | int
) -> Transition:
    """The dataset piece by piece: every ``num_batches`` steps see each row once.

    The last batch of a pass is filled up with copies of the last row;
    ``extras["weight"]`` is 1, and 0 for those copies.

    Args:
      key: unused; the order is that of the dataset.
      dataset: leaves with leading axis `[D]`.
      batch_size: `B`, static.
      step: of the phase.
    """
    del key
    size = dataset.action.shape[0]
    begin = step % num_batches(size, batch_size) * batch_size
    row = begin + jnp.arange(batch_size, dtype=jnp.int32)
    batch = jax.tree.map(lambda leaf: leaf[jnp.minimum(row, size - 1)], dataset)
    weight = (row < size).astype(jnp.float32)
    return batch._replace(extras={**batch.extras, "weight": weight})


def num_batches(size: int, batch_size: int) -> int:
    """Steps of a pass over ``size`` transitions, rounded up."""
    return -(-size // batch_size)
