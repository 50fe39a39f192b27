"""Acting on many states: as many at a time as suit the platform."""

from __future__ import annotations

from typing import Any

import jax

from gem_jax.algorithm import ActFn, batched_act
from gem_jax.inference import chunks
from gem_jax.types import ActOutput, Array, Params, PRNGKey


def rows_at_a_time(knobs: Any, most: int) -> int:
    """How many states to act on together: ``most`` on an accelerator.

    A CPU takes as many as fill one chunk of candidates, so that the activations of many
    rows with many candidates each stay in its cache.
    """
    if jax.default_backend() != "cpu":
        return most
    rows = chunks.automatic_chunk() // getattr(knobs, "set_size", 1)
    return min(max(rows, 1), most)


def tiled_act(act: ActFn) -> ActFn:
    """``act`` over `[B, O]` observations, `[B]` keys and `[B]` steps."""
    at_once = batched_act(act)

    def tiled(
        params: Params, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput:
        rows = rows_at_a_time(knobs, len(observation))
        if rows == len(observation):
            return at_once(params, key, observation, t, knobs)
        return jax.lax.map(
            lambda row: act(params, row[0], row[1], row[2], knobs),
            (key, observation, t),
            batch_size=rows,
        )

    return tiled
