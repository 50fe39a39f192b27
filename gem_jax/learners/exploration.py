"""Acting to learn from it: what a policy would do, with noise where it has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gem_jax.algorithm import ActFn, ExploreFn
from gem_jax.ops import mixture
from gem_jax.types import Array, Params, PRNGKey

NOISE = 0.1  # TD3's (Fujimoto et al., 2018): standard deviation about the policy


def acting(act: ActFn, knobs: Any) -> ExploreFn:
    """What a policy of samples executes, which is drawn anew every time.

    Args:
      act: of an algorithm, whatever the step of the episode.
      knobs: of its settings.
    """

    def explore(params: Params, key: PRNGKey, observation: Array) -> Array:
        return act(params, key, observation, jnp.zeros((), jnp.int32), knobs).action

    return explore


def noisy(policy: Callable[[Params, Array], Array]) -> ExploreFn:
    """A deterministic policy's action with Gaussian noise, inside the box.

    Args:
      policy: (params, observation `[O]`) to an action `[A]`.
    """

    def explore(params: Params, key: PRNGKey, observation: Array) -> Array:
        action = policy(params, observation)
        noise = NOISE * jax.random.normal(key, action.shape, jnp.float32)
        return jnp.clip(action + noise, -1.0, 1.0)

    return explore


def sampled(policy: Callable[[Params, Array], mixture.Mixture]) -> ExploreFn:
    """A sample of a policy that is a mixture, inside the box.

    Args:
      policy: (params, observation `[O]`) to one.
    """

    def explore(params: Params, key: PRNGKey, observation: Array) -> Array:
        drawn = mixture.sample(key, policy(params, observation), 1)
        return jnp.clip(drawn[0], -1.0, 1.0)

    return explore
