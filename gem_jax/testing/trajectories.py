"""Trajectories that are easy to tell apart, or impossible."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.clustering import Trajectories


def two_policies(
    num_trajectories: int = 24, steps: int = 40, seed: int = 0
) -> tuple[Trajectories, np.ndarray]:
    """Even trajectories go against the state's sign, odd ones with it; and which."""
    rng = np.random.default_rng(seed)
    lengths = steps + rng.integers(-5, 6, num_trajectories)
    episode = np.repeat(np.arange(num_trajectories), lengths)
    observation = rng.normal(size=(len(episode), 3))
    label = np.arange(num_trajectories) % 2
    mean = 0.5 * np.sign(observation[:, :2]) * (2 * label[episode, None] - 1)
    action = np.clip(mean + 0.2 * rng.normal(size=mean.shape), -1, 1)
    return Trajectories(
        jnp.asarray(observation, jnp.float32),
        jnp.asarray(action, jnp.float32),
        jnp.asarray(episode, jnp.int32),
    ), label


def same_steps(num_trajectories: int, steps: int) -> Trajectories:
    """Every trajectory the same."""
    one, _ = two_policies(1, 50)

    def repeat(leaf: jax.Array) -> jax.Array:
        return jnp.tile(leaf[:steps], (num_trajectories, 1))

    return Trajectories(
        repeat(one.observation),
        repeat(one.action),
        jnp.repeat(jnp.arange(num_trajectories), steps),
    )
