"""Acting with a trained policy, in one state or in many at a time.

Here, and only here, observations are normalized for acting, actions are mapped from
[-1, 1] to the environment's box, and memory is kept: the same step serves policies with
and without one.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from gem_jax import errors
from gem_jax.algorithm import Algorithm, Judged, Memory
from gem_jax.inference import chunks
from gem_jax.types import ActOutput, Array, PolicyParams, PRNGKey
from gem_jax.utils import caching


class Seen(NamedTuple):
    """What an episode has shown since the last action.

    Attributes:
      observation: `[O]`, as the environment gives it.
      t: `[]` step inside the episode.
      last_action: `[A]`, as it was executed, in the environment's units; the middle of
        its box at the first step. ``None`` will do for a policy without memory.
      last_reward: `[]`, the environment's own; 0 at the first step. The same.
    """

    observation: Array
    t: Array
    last_action: Array | None = None
    last_reward: Array | None = None


class StepFn(Protocol):
    """Chooses one action; the memory is an empty tuple for a policy without one."""

    def __call__(
        self, params: PolicyParams, key: PRNGKey, memory: Memory, seen: Seen, knobs: Any
    ) -> tuple[ActOutput, Memory]: ...


@caching.kept
def make_step(algorithm: Algorithm) -> StepFn:
    """How a policy of the algorithm takes one step of an episode.

    Actions are the environment's: raw ones come out, and the last one goes in raw.
    """
    act: Callable[..., ActOutput] = algorithm.act
    observe, box = algorithm.observe, algorithm.spec.action_box

    def raw(output: ActOutput) -> ActOutput:
        return output._replace(action=box.to_raw(output.action))

    def step(
        params: PolicyParams, key: PRNGKey, memory: Memory, seen: Seen, knobs: Any
    ) -> tuple[ActOutput, Memory]:
        observation = params.normalizer(seen.observation)
        if observe is None:
            output = act(params.params, key, observation, seen.t, knobs)
            return raw(output), memory
        assert seen.last_action is not None and seen.last_reward is not None
        observe_key, act_key = jax.random.split(key)
        memory = observe(
            params.params,
            observe_key,
            memory,
            observation,
            box.to_unit(seen.last_action),
            seen.last_reward,
            seen.t,
            knobs,
        )
        output = act(params.params, act_key, observation, seen.t, knobs, memory)
        return raw(output), memory

    return step


def make_judge(algorithm: Algorithm) -> Callable[..., Judged]:
    """What an action is chosen from, in the environment's units.

    Takes policy parameters, key, observation `[O]`, step and knobs.

    Raises:
      UserError: the algorithm scores no candidates.
    """
    judge, box = algorithm.judge, algorithm.spec.action_box
    if judge is None:
        raise errors.UserError(
            "this algorithm scores no candidates; take a run of one that does, as gem"
        )

    def raw_judge(
        params: PolicyParams, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> Judged:
        seen = params.normalizer(observation)
        judged = judge(params.params, key, seen, t, knobs)
        return judged._replace(actions=box.to_raw(judged.actions))

    return raw_judge


def init_memory(algorithm: Algorithm, params: PolicyParams, knobs: Any) -> Memory:
    """The memory of one episode before its first step."""
    if algorithm.init_memory is None:
        return ()
    return algorithm.init_memory(params.params, knobs)


def map_rows(
    function: Callable[[Any], Any],
    rows: Any,
    size: int,
    count: Array | int | None = None,
) -> Any:
    """``function`` of each row, ``size`` rows at a time.

    Args:
      function: of one row, a pytree, to a pytree of arrays.
      rows: leaves `[R, ...]`.
      size: rows at a time, static.
      count: the first so many rows are wanted; traced, so that one program serves any
        number. What comes out for the others means nothing. All by default.

    Returns:
      The pytree of arrays `[R, ...]`.
    """
    total = jax.tree.leaves(rows)[0].shape[0]
    if total <= size:
        return jax.vmap(function)(rows)
    size, count = min(size, total), total if count is None else count
    # Inlined, so that it is traced once for its shapes and for the loop.
    many = jax.jit(jax.vmap(function), inline=True)

    def block(i: Array, done: Any) -> Any:
        start = i * size  # the last block begins earlier if it would not fit
        part = jax.tree.map(
            lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), rows
        )
        return jax.tree.map(
            lambda whole, new: jax.lax.dynamic_update_slice_in_dim(
                whole, new, start, axis=0
            ),
            done,
            many(part),
        )

    part = jax.tree.map(lambda leaf: leaf[:size], rows)
    shapes = jax.eval_shape(many, part)
    nothing = jax.tree.map(
        lambda leaf: jnp.zeros((total, *leaf.shape[1:]), leaf.dtype), shapes
    )
    return jax.lax.fori_loop(0, (count + size - 1) // size, block, nothing)


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
