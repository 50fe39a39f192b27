"""Datasets that need no simulator, and policies that need no training."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.algorithm import Algorithm
from gem_jax.ops import normalize
from gem_jax.types import (
    ActOutput,
    Array,
    EnvSpec,
    Params,
    PolicyParams,
    PRNGKey,
    Transition,
)

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


@functools.partial(jax.jit, static_argnames=("size", "spec"))
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


@functools.partial(jax.jit, static_argnames="size")
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


def acts_by(act: Any, spec: EnvSpec = SPEC) -> Algorithm:
    """An algorithm that has nothing to train."""
    return Algorithm(spec, lambda key: (), (), lambda state: (), act)


def policy_params(params: Params, spec: EnvSpec = SPEC) -> PolicyParams:
    """Parameters with a normalizer that leaves observations as they are."""
    return PolicyParams(normalize.identity_normalizer(spec.observation_size), params)


class Recollection(NamedTuple):
    """What ``remembers`` keeps of an episode.

    Attributes:
      observation: `[O]`, the first one, normalized.
      actions: `[A]`, sum of those executed.
      rewards: `[]`, sum of the rewards for them.
      steps: `[]`, how often it observed.
    """

    observation: Array
    actions: Array
    rewards: Array
    steps: Array


def remembers(spec: EnvSpec = SPEC) -> Algorithm:
    """An algorithm that acts by its episode and tells what it knows of it."""

    def init_memory(params: Params, knobs: Any) -> Recollection:
        del params, knobs
        zero = jnp.zeros(())
        size = spec.observation_size
        return Recollection(jnp.zeros(size), jnp.zeros(spec.action_size), zero, zero)

    def observe(
        params: Params,
        key: PRNGKey,
        memory: Recollection,
        observation: Array,
        last_action: Array,
        last_reward: Array,
        t: Array,
        knobs: Any,
    ) -> Recollection:
        del params, key, knobs
        return Recollection(
            jnp.where(t == 0, observation, memory.observation),
            memory.actions + last_action,
            memory.rewards + last_reward,
            memory.steps + 1.0,
        )

    def act(
        params: Params,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: Any,
        memory: Recollection,
    ) -> ActOutput:
        del knobs
        drift = params + 0.3 * jax.random.normal(key, (spec.action_size,))
        action = jnp.tanh(drift + memory.observation[0] - observation[0])
        audit = {
            "rewards": memory.rewards,
            "actions": jnp.sum(memory.actions),
            "late": memory.steps - 1.0 - t,
        }
        return ActOutput(action, audit)

    algorithm = acts_by(act, spec)
    return algorithm._replace(init_memory=init_memory, observe=observe)
