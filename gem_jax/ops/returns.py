"""Returns along trajectories that follow each other in flat arrays `[D]`.

An episode that a time limit cut is no longer continued: no sum, and no next action,
reaches from one trajectory into another. Arrays of other shapes raise ``ValueError``.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array


def last_steps(episode: Array) -> Array:
    """`[D]` bool: the last step of each trajectory, told by ``episode`` `[D]`."""
    _shapes.axes("episode", episode, "[D]")
    last = jnp.ones((1,), bool)
    return jnp.concatenate([episode[1:] != episode[:-1], last])


def places(stop: Array) -> tuple[Array, Array]:
    """Where each step stands between two stops.

    Args:
      stop: `[D]` bool, the last step of each stretch; the last row is one.

    Returns:
      Steps since its stretch began, and steps until it ends, the first row and the last
      having 0; each `[D]` int32.
    """
    _shapes.axes("stop", stop, "[D]")
    row = jnp.arange(stop.shape[0], dtype=jnp.int32)
    begins = jnp.concatenate([jnp.ones((1,), bool), stop[:-1]])
    begin = jax.lax.cummax(jnp.where(begins, row, 0))
    end = jax.lax.cummin(jnp.where(stop, row, stop.shape[0] - 1), reverse=True)
    return row - begin, end - row


def monte_carlo(reward: Array, stop: Array, discount: float) -> Array:
    """R_i = sum over t of discount^t r_{i+t} up to the next ``stop``, all `[D]`."""
    _check(reward, stop, discount)

    def add(later: Array, step: tuple[Array, Array]) -> tuple[Array, Array]:
        r, stops = step
        total = r + discount * jnp.where(stops, 0.0, later)
        return total, total

    zero = jnp.zeros((), reward.dtype)
    return jax.lax.scan(add, zero, (reward, stop), reverse=True)[1]


def totals(reward: Array, stop: Array) -> Array:
    """The sum of each trajectory's rewards at every step of it, all `[D]`."""
    to_go = monte_carlo(reward, stop, 1.0)
    starts = jnp.concatenate([jnp.ones((1,), bool), stop[:-1]])
    row = jnp.arange(reward.shape[0])
    return to_go[jax.lax.cummax(jnp.where(starts, row, 0))]


def planned(
    reward: Array, terminal: Array, last: Array, next_value: Array, discount: float
) -> Array:
    """R_i = r_i + discount max(R_{i+1}, V_{i+1}), all `[D]` (SfBC, section 3.2).

    The better of going on as the trajectory does and of what the policy is worth there.
    After a terminal nothing follows; after the ``last`` step of a trajectory V does.
    """
    _shapes.axes("reward", reward, "[D]")
    _shapes.same(reward=reward, terminal=terminal, last=last, next_value=next_value)
    _shapes.scalar(discount=discount)

    def add(later: Array, step: tuple[Array, ...]) -> tuple[Array, Array]:
        r, ends, cut, v = step
        best = jnp.where(cut, v, jnp.maximum(later, v))
        total = r + discount * jnp.where(ends, 0.0, best)
        return total, total

    zero = jnp.zeros((), reward.dtype)
    rows = reward, terminal, last, next_value
    return jax.lax.scan(add, zero, rows, reverse=True)[1]


def n_step(
    reward: Array, stop: Array, discount: float, n: int
) -> tuple[Array, Array, Array]:
    """Sums of up to ``n`` rewards, fewer where a step with ``stop`` comes first.

    Returns:
      The sum R, its number of rewards m (float), and the row of the last one, each
      `[D]`: a bootstrapped return is R + discount^m V(next state of that row).
    """
    _check(reward, stop, discount)
    total, length = reward, jnp.ones_like(reward)
    going = ~stop
    for k in range(1, n):
        total = total + discount**k * jnp.where(going, _ahead(reward, k), 0.0)
        length = length + going
        going &= ~_ahead(stop, k)
    row = jnp.arange(reward.shape[0]) + length.astype(jnp.int32) - 1
    return total, length, row


def _check(reward: Array, stop: Array, discount: float) -> None:
    _shapes.axes("reward", reward, "[D]")
    _shapes.same(reward=reward, stop=stop)
    _shapes.scalar(discount=discount)


def _ahead(values: Array, k: int) -> Array:
    """The value k rows later; the last row is a stop, so nothing beyond is used."""
    return jnp.roll(values, -k)
