"""Datasets that need no simulator."""

from __future__ import annotations

import jax
import jax.numpy as jnp

from gem_jax.types import EnvSpec, PRNGKey, Transition

NUM_TRANSITIONS = 64
NUM_EPISODES = 4
SPEC = EnvSpec(
    observation_size=3,
    action_size=2,
    horizon=20,
    num_transitions=NUM_TRANSITIONS,
    num_episodes=NUM_EPISODES,
)
BANDIT_SPEC = EnvSpec(observation_size=1, action_size=1, horizon=1)
BANDIT_MODE = 0.7


def random_transitions(
    key: PRNGKey, size: int = NUM_TRANSITIONS, spec: EnvSpec = SPEC
) -> Transition:
    """Transitions `[size]` without structure, in trajectories of equal lengths."""
    keys = jax.random.split(key, 5)
    return Transition(
        observation=jax.random.normal(keys[0], (size, spec.observation_size)),
        action=jax.random.uniform(keys[1], (size, spec.action_size), minval=-1.0),
        reward=jax.random.normal(keys[2], (size,)),
        next_observation=jax.random.normal(keys[3], (size, spec.observation_size)),
        terminal=(jax.random.uniform(keys[4], (size,)) < 0.2).astype(jnp.float32),
        extras={"episode": jnp.arange(size) * NUM_EPISODES // size},
    )


def two_mode_bandit(key: PRNGKey, size: int = 512) -> Transition:
    """One step; actions near -0.7 or +0.7, equally often; only +0.7 is rewarded.

    The mean of the data, 0, is an action that nobody took. Observations are noise: a
    constant one would leave the components of a fresh mixture identical.
    """
    mode_key, noise_key, observation_key = jax.random.split(key, 3)
    sign = jnp.where(jax.random.bernoulli(mode_key, shape=(size,)), 1.0, -1.0)
    action = BANDIT_MODE * sign + 0.05 * jax.random.normal(noise_key, (size,))
    return Transition(
        observation=jax.random.uniform(observation_key, (size, 1)),
        action=jnp.clip(action, -1.0, 1.0)[:, None],
        reward=(action > 0.0).astype(jnp.float32),
        next_observation=jnp.zeros((size, 1)),
        terminal=jnp.ones((size,)),
    )
