"""What DT remembers of an episode: its last steps, as the network takes them."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp

from gem_jax.types import Array, EnvSpec


class Context(NamedTuple):
    """The last K steps, the oldest first; rows from ``steps`` on mean nothing.

    Attributes:
      return_to_go: `[K]`, what was to come before each step, scaled.
      observation: `[K, O]`.
      action: `[K, A]`; that of the newest step is not known yet.
      time: `[K]` int32, steps inside the episode.
      steps: `[]` int32, how many there are.
      remaining: `[]`, what is to come, scaled.
    """

    return_to_go: Array
    observation: Array
    action: Array
    time: Array
    steps: Array
    remaining: Array

    @property
    def tokens(self) -> tuple[Array, Array, Array, Array]:
        """What the network takes."""
        return self.return_to_go, self.observation, self.action, self.time

    @property
    def newest(self) -> Array:
        """The row of the newest step."""
        return jnp.maximum(self.steps - 1, 0)


def empty(spec: EnvSpec, length: int, target: Array | float) -> Context:
    """Before the first step of an episode that is to have the scaled return."""
    return Context(
        return_to_go=jnp.zeros(length, jnp.float32),
        observation=jnp.zeros((length, spec.observation_size), jnp.float32),
        action=jnp.zeros((length, spec.action_size), jnp.float32),
        time=jnp.zeros(length, jnp.int32),
        steps=jnp.zeros((), jnp.int32),
        remaining=jnp.asarray(target, jnp.float32),
    )


def extend(
    context: Context, observation: Array, last_action: Array, reward: Array, t: Array
) -> Context:
    """Takes in a step, and what was done in the one before it.

    Args:
      context: so far.
      observation: `[O]` of the new step.
      last_action: `[A]` of the step before, 0 where there is none.
      reward: `[]` for it, scaled; 0 where there is none.
      t: `[]` of the new step.
    """
    length = context.time.shape[0]
    full = context.steps == length
    place = jnp.minimum(context.steps, length - 1)
    remaining = context.remaining - reward

    def put(rows: Array, row: Array) -> Array:
        rows = jnp.where(full, jnp.roll(rows, -1, axis=0), rows)
        return rows.at[place].set(row.astype(rows.dtype))

    done = context.action.at[context.newest].set(last_action)
    return Context(
        return_to_go=put(context.return_to_go, remaining),
        observation=put(context.observation, observation),
        action=put(done, jnp.zeros_like(last_action)),
        time=put(context.time, t),
        steps=place + 1,
        remaining=remaining,
    )
