"""Log-likelihoods of trajectories under each policy: what an E-step adds up."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.types import Array

CHUNK_SIZE = 8192  # steps whose log-densities are in memory at a time
# Multiples of it, modulo 1, fill the interval evenly, however many there are.
_GOLDEN = 0.6180339887


class Trajectories(NamedTuple):
    """Steps of trajectories, flat, or a batch of such steps.

    Attributes:
      observation: `[D, O]`, best normalized.
      action: `[D, A]` in [-1, 1], where the policies' means lie.
      episode: `[D]` int32, number of each step's trajectory; ascending in a dataset.
    """

    observation: Array
    action: Array
    episode: Array


class Steps(NamedTuple):
    """Some steps of a dataset.

    Attributes:
      row: `[R]` int32, ascending.
      weight: `[R]` how many steps of its trajectory it stands for; 0 for none.
    """

    row: Array
    weight: Array


def log_likelihoods(
    log_prob: Callable[[Array, Array], Array],
    data: Trajectories,
    num_trajectories: int,
    num_clusters: int,
    chunk: int = CHUNK_SIZE,
    *,
    steps: Steps | None = None,
) -> Array:
    """L[tau, z] = sum over t in tau of log beta(a_t|s_t; theta_z), `[J, K]`.

    Args:
      log_prob: (observation `[C, O]`, action `[C, A]`) to `[K, C]`.
      data: the whole dataset, any lengths of trajectories.
      num_trajectories: J.
      num_clusters: K.
      chunk: C, steps at a time.
      steps: those that are added up, times their weights; ``None`` for all.
    """
    if steps is None:
        row = jnp.arange(data.action.shape[0])
        steps = Steps(row, jnp.ones(row.shape))
    chunk = min(chunk, steps.row.shape[0])
    missing = -steps.row.shape[0] % chunk  # the last chunk is filled up
    steps = Steps(
        jnp.pad(steps.row, (0, missing), mode="edge"),
        jnp.pad(steps.weight, (0, missing)),
    )

    def add(sums: Array, part: Steps) -> tuple[Array, None]:
        value = log_prob(data.observation[part.row], data.action[part.row])
        by_trajectory = jax.ops.segment_sum(
            (part.weight[None] * value).T,
            data.episode[part.row],
            num_trajectories,
            indices_are_sorted=True,
        )
        return sums + by_trajectory, None

    sums = jnp.zeros((num_trajectories, num_clusters))
    parts = jax.tree.map(lambda leaf: leaf.reshape(-1, chunk), steps)
    return jax.lax.scan(add, sums, parts)[0]


def window(
    episode: Array, num_trajectories: int, length: int, turn: Array | int
) -> Steps | None:
    """A stretch that stands for its whole trajectory, or all of one that is no longer.

    Args:
      episode: `[D]` number of each step's trajectory, ascending.
      num_trajectories: J.
      length: W, of a stretch, static; 0 stands for all steps.
      turn: `[]`, a number from 0; the place differs from one to the next.

    Returns:
      `[J * W]` steps; ``None`` for all.
    """
    if not length:
        return None
    sizes = jax.ops.segment_sum(
        jnp.ones_like(episode), episode, num_trajectories, indices_are_sorted=True
    )
    place = turn * _GOLDEN % 1.0
    offset = jnp.arange(length)

    def stretch(begin: Array, size: Array) -> Steps:
        skipped = jnp.floor(place * (jnp.maximum(size - length, 0) + 1))
        inside = jnp.clip(offset, 0, size - 1)  # of a short one the last step, again
        each = size / jnp.minimum(size, length)
        weight = jnp.where(offset < size, each, 0.0)
        return Steps(begin + skipped.astype(begin.dtype) + inside, weight)

    steps = jax.vmap(stretch)(jnp.cumsum(sizes) - sizes, sizes)
    return jax.tree.map(jnp.ravel, steps)
