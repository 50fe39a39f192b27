"""Acting on many states: as many at a time as suit the platform."""

from __future__ import annotations

import dataclasses
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


def share_chunk(knobs: Any, rows: int) -> Any:
    """The knobs with the automatic chunk of candidates divided among the rows.

    The activations of rows that act together lie in memory together. On a CPU, which
    takes that many rows only where they fill one chunk, nothing changes.
    """
    if getattr(knobs, "chunk_size", None) != 0:
        return knobs
    return dataclasses.replace(
        knobs, chunk_size=max(1, chunks.automatic_chunk() // rows)
    )


def tiled_act(act: ActFn) -> ActFn:
    """``act`` over `[B, O]` observations, `[B]` keys and `[B]` steps."""
    at_once = batched_act(act)

    def tiled(
        params: Params, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput:
        rows = rows_at_a_time(knobs, max(len(observation), 1))
        knobs = share_chunk(knobs, rows)
        if rows >= len(observation):
            return at_once(params, key, observation, t, knobs)
        return jax.lax.map(
            lambda row: act(params, row[0], row[1], row[2], knobs),
            (key, observation, t),
            batch_size=rows,
        )

    return tiled
