"""A bandit of two dimensions: eight modes on a circle, one of them rewarded."""

from __future__ import annotations

from collections.abc import Mapping

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.types import Array, EnvSpec, PRNGKey, Transition

NUM_MODES = 8
REWARDED = 1  # 45 degrees
_RADIUS = 0.75
_SPREAD = 0.06  # standard deviation of a mode
_NEAR = 3.0 * _SPREAD  # 99 % of a mode's actions lie nearer to its center
# Where the critic of the last row errs: far from all that the data show.
ERROR_CENTER = (0.1, -0.2)
_ERROR_WIDTH = 0.25
_ERROR_HEIGHT = 3.0


def centers() -> np.ndarray:
    """`[8, 2]`."""
    angle = 2 * np.pi * np.arange(NUM_MODES) / NUM_MODES
    return _RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=1)


def dataset(key: PRNGKey, size: int = 4096) -> Transition:
    """Episodes of one step; modes equally often, reward 1 at one of them.

    Observations are noise that means nothing.
    """
    mode_key, noise_key, observation_key = jax.random.split(key, 3)
    mode = jax.random.randint(mode_key, (size,), 0, NUM_MODES)
    noise = _SPREAD * jax.random.normal(noise_key, (size, 2))
    return Transition(
        observation=jax.random.uniform(observation_key, (size, 1)),
        action=jnp.clip(jnp.asarray(centers())[mode] + noise, -1.0, 1.0),
        reward=(mode == REWARDED).astype(jnp.float32),
        next_observation=jnp.zeros((size, 1)),
        terminal=jnp.ones(size),
        extras={"episode": jnp.arange(size)},
    )


def spec(data: Transition) -> EnvSpec:
    """Its sizes."""
    size = len(data.reward)
    return EnvSpec(1, 2, 1, num_transitions=size, num_episodes=size)


def error(action: Array) -> Array:
    """What a corrupted critic adds to the values of actions `[..., 2]`."""
    center = jnp.broadcast_to(jnp.asarray(ERROR_CENTER), action.shape)
    distance = jnp.sum((action - center) ** 2, axis=-1)
    return _ERROR_HEIGHT * jnp.exp(-0.5 * distance / _ERROR_WIDTH**2)


def shows_all_modes(actions: np.ndarray) -> bool:
    """Whether each mode has between half and twice its share of actions `[n, 2]`."""
    found, even = shares(actions), 1.0 / NUM_MODES
    return found["least"] >= even / 2 and found["most"] <= 2 * even


def shares(actions: np.ndarray) -> Mapping[str, float]:
    """Of actions `[n, 2]`, how many lie where.

    ``rewarded``: near the rewarded mode; ``least`` and ``most``: near the rarest and
    the most frequent one, 1/8 if all were alike; ``off_modes``: near none.
    """
    distance = np.linalg.norm(actions[:, None] - centers(), axis=-1)
    at = [float(np.mean(distance[:, mode] < _NEAR)) for mode in range(NUM_MODES)]
    return {
        "rewarded": at[REWARDED],
        "least": min(at),
        "most": max(at),
        "off_modes": float(np.mean(distance.min(axis=1) >= _NEAR)),
    }
