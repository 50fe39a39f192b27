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
        steps = Steps(row, jnp.ones(row.shape, jnp.float32))
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

    sums = jnp.zeros((num_trajectories, num_clusters), jnp.float32)
    parts = jax.tree.map(lambda leaf: leaf.reshape(-1, chunk), steps)
    return jax.lax.scan(add, sums, parts)[0]


def some_steps(
    episode: Array,
    num_trajectories: int,
    count: int,
    turn: Array | int,
    spread: Array | bool,
) -> Steps | None:
    """Steps that stand for their whole trajectory, or all of one that has no more.

    Args:
      episode: `[D]` number of each step's trajectory, ascending.
      num_trajectories: J.
      count: W, of each trajectory, static; 0 stands for all steps.
      turn: `[]`, a number from 0; the steps differ from one to the next.
      spread: whether evenly over the trajectory, not in a row.

    Returns:
      `[J * W]` steps; ``None`` for all.
    """
    if not count:
        return None
    sizes = jax.ops.segment_sum(
        jnp.ones_like(episode), episode, num_trajectories, indices_are_sorted=True
    )
    place = turn * _GOLDEN % 1.0
    order = jnp.arange(count)

    def steps_of(begin: Array, size: Array) -> Steps:
        apart = jnp.where(spread, jnp.maximum(size // count, 1), 1)
        room = jnp.maximum(size - apart * (count - 1), 1)
        first = jnp.floor(place * room).astype(begin.dtype)
        inside = jnp.clip(first + apart * order, 0, size - 1)
        weight = jnp.where(order < size, size / jnp.minimum(size, count), 0.0)
        return Steps(begin + inside, weight.astype(jnp.float32))

    steps = jax.vmap(steps_of)(jnp.cumsum(sizes) - sizes, sizes)
    return jax.tree.map(jnp.ravel, steps)
