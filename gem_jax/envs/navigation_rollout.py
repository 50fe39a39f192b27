"""Whole episodes of the navigation task as one compiled program.

The environment for gymnasium takes a Python call a step; here a policy that JAX can
trace walks any number of episodes at once, and ``jax.vmap`` adds an axis of seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.envs import navigation

# (key, observation [2], step) -> (action [2], anything to be recorded beside it)
PolicyFn = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, Any]]


class Rollout(NamedTuple):
    """Attributes:
    positions: `[episodes, T + 1, 2]`; an episode that has ended stays where it is.
    returns: `[episodes]`.
    lengths: `[episodes]` int32, steps.
    successes: `[episodes]` bool.
    records: what the policy recorded, `[episodes, T, ...]`.
    """

    positions: jax.Array
    returns: jax.Array
    lengths: jax.Array
    successes: jax.Array
    records: Any


def rollout(
    policy: PolicyFn,
    key: jax.Array,
    num_episodes: int,
    *,
    horizon: int = navigation.HORIZON,
) -> Rollout:
    """Runs episodes from random starts; trace it under ``jax.jit``."""

    def episode(key: jax.Array) -> Rollout:
        start_key, walk_key = jax.random.split(key)
        start = jax.random.uniform(start_key, (2,), maxval=navigation.START_SIZE)
        return walk(policy, walk_key, start, horizon=horizon)

    return jax.vmap(episode)(jax.random.split(key, num_episodes))


def walk(
    policy: PolicyFn,
    key: jax.Array,
    start: jax.Array,
    *,
    horizon: int = navigation.HORIZON,
) -> Rollout:
    """Runs one episode from ``start`` `[2]`; the fields have no episode axis."""

    def step(carry: tuple[jax.Array, jax.Array], t: jax.Array) -> Any:
        position, ended = carry
        action, record = policy(jax.random.fold_in(key, t), position, t)
        moved, reward, reached = navigation.transition(position, action, jnp)
        position = jnp.where(ended, position, moved)
        reward = jnp.where(ended, 0.0, reward)
        return (position, ended | reached), (position, reward, ~ended, record)

    begin = (jnp.asarray(start, jnp.float32), jnp.zeros((), bool))
    (_, success), (positions, rewards, alive, records) = jax.lax.scan(
        step, begin, jnp.arange(horizon)
    )
    return Rollout(
        positions=jnp.concatenate([begin[0][None], positions]),
        returns=jnp.sum(rewards),
        lengths=jnp.sum(alive, dtype=jnp.int32),
        successes=success,
        records=records,
    )
