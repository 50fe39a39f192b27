"""Returns along trajectories that follow each other in flat arrays `[D]`.

An episode that a time limit cut is no longer continued: no sum, and no next action,
reaches from one trajectory into another. What marks steps (``stop``, ``terminal``,
``last``) is bool. Arrays of other shapes raise ``ValueError``.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array

_Map = tuple[Array, ...]  # slope, offset and least, see _backwards


def last_steps(episode: Array) -> Array:
    """`[D]` bool: the last step of each trajectory, told by ``episode`` `[D]`."""
    _shapes.axes("episode", episode, "[D]")
    last = jnp.ones((1,), bool)
    return jnp.concatenate([episode[1:] != episode[:-1], last])


def ends(episode: Array, terminal: Array) -> Array:
    """`[D]` bool: beyond which no reward counts, a terminal or a last step.

    ``terminal`` `[D]` is above 0 at one. What follows a terminal in the same episode is
    another trajectory.
    """
    _shapes.same(episode=episode, terminal=terminal)
    return last_steps(episode) | (terminal > 0.0)


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
    slope = jnp.where(stop, 0.0, discount).astype(reward.dtype)
    return _backwards(slope, reward, jnp.full_like(reward, jnp.finfo(reward.dtype).min))


def totals(reward: Array, stop: Array) -> Array:
    """The sum of each trajectory's rewards at every step of it, all `[D]`."""
    to_go = monte_carlo(reward, stop, 1.0)
    since_start, _ = places(stop)
    return to_go[jnp.arange(reward.shape[0]) - since_start]


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

    least = reward + discount * jnp.where(terminal, 0.0, next_value)
    goes_on = ~(terminal | last)
    slope = jnp.where(goes_on, discount, 0.0).astype(reward.dtype)
    return _backwards(slope, jnp.where(goes_on, reward, least), least)


def _backwards(slope: Array, offset: Array, least: Array) -> Array:
    """x_i = max(least_i, offset_i + slope_i x_{i+1}), all `[D]`, with x = 0 beyond.

    Such maps, of slopes not below 0, make one when they follow each other. So stretches
    of about sqrt(D) rows are run through side by side, and then their maps: a loop over
    every row would be a kernel a row on a GPU.
    """
    size = slope.shape[0]
    length = math.isqrt(size - 1) + 1
    count = -(-size // length)
    rows = tuple(
        jnp.pad(row, (0, count * length - size)).reshape(count, length).T
        for row in (slope, offset, least)
    )  # [L, K]; what fills the last stretch is x = 0

    def at(later: Array, step: _Map) -> Array:
        slope, offset, least = step
        return jnp.maximum(least, offset + slope * later)

    def after(later: _Map, step: _Map) -> tuple[_Map, _Map]:
        slope, offset, _ = step
        composed = slope * later[0], offset + slope * later[1], at(later[2], step)
        return composed, composed

    one = jnp.ones((count,), slope.dtype)
    same: _Map = one, 0.0 * one, jnp.full_like(one, jnp.finfo(one.dtype).min)
    whole, maps = jax.lax.scan(after, same, rows, reverse=True)
    zero = jnp.zeros((), one.dtype)
    beyond = jax.lax.scan(  # [K], the x that follows each stretch
        lambda later, step: (at(later, step), later), zero, whole, reverse=True
    )[1]
    return jax.vmap(at, (None, 0))(beyond, maps).T.reshape(-1)[:size]


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
