"""The one evaluator: whole episodes, batched over environments on all cores.

A fixed number of episodes is played to their ends; stepping for a fixed number of steps
with automatic resets would count short episodes too often. The same key gives the same
result, whatever the number of threads or of environments at a time: an episode's reset
seed depends on its number, and the key of each action on the episode and its step.
"""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import batching, envs, errors
from gem_jax.algorithm import ActFn
from gem_jax.training import results
from gem_jax.training.results import EvalResult as EvalResult
from gem_jax.training.results import to_row as to_row
from gem_jax.types import ActOutput, Array, Params, PRNGKey

if TYPE_CHECKING:
    import gymnasium

MAX_ENVS = 128  # environments alive at a time
_EVALUATION = 0x6576616C  # sets an evaluation's keys apart from training's


class Cancelled(Exception):
    """The caller's ``should_stop`` asked to end the evaluation."""


@contextlib.contextmanager
def make_evaluator(
    env_id: str, act: ActFn, *, num_threads: int | None = None
) -> Iterator[Callable[..., list[EvalResult]]]:
    """Yields ``evaluate(params, key, variants, num_episodes, should_stop)``.

    It plays the same episodes, with the same random numbers, under each of the knobs in
    ``variants``, side by side, and returns an ``EvalResult`` for each. Variants may
    differ in traced numbers only. Environments and compiled programs are reused from
    call to call.

    Args:
      env_id: a gymnasium id.
      act: chooses an action for one state.
      num_threads: threads that step environments; all cores when ``None``. MuJoCo
        releases the interpreter while it steps.
    """
    num_threads = num_threads or os.cpu_count() or 1
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    step_slices = functools.partial(_map_slices, pool, num_threads)
    environments: list[gymnasium.Env] = []
    decide = jax.jit(_decide_fn(act))

    def evaluate(
        params: Params,
        key: PRNGKey,
        variants: Sequence[Any],
        num_episodes: int,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[EvalResult]:
        if num_episodes < 1:
            raise errors.UserError(f"--episodes must be at least 1, got {num_episodes}")
        total = len(variants) * num_episodes
        while len(environments) < min(total, MAX_ENVS):
            _heed(should_stop)
            environments.append(envs.make(env_id))
        start = time.perf_counter()
        reset_key, action_key = jax.random.split(key)
        reset_seed = int(jax.random.bits(reset_key, dtype=jnp.uint32))
        knobs = jax.tree.map(lambda *leaves: np.stack(leaves), *variants)

        def decide_rows(count: int, numbers: np.ndarray, *inputs: np.ndarray) -> Any:
            mine = jax.tree.map(lambda leaf: leaf[numbers // num_episodes], knobs)
            episodes = numbers % num_episodes
            return decide(params, action_key, count, episodes, *inputs, mine)

        waves = [
            _play(
                environments,
                np.arange(first, min(first + MAX_ENVS, total), dtype=np.int32),
                num_episodes,
                decide_rows,
                reset_seed,
                step_slices,
                should_stop,
            )
            for first in range(0, total, MAX_ENVS)
        ]
        return results.summarize(waves, len(variants), time.perf_counter() - start)

    try:
        yield evaluate
    finally:
        pool.shutdown()
        for environment in environments:
            environment.close()


def _decide_fn(act: ActFn) -> Callable[..., Any]:
    """``act`` for the first ``count`` of ``MAX_ENVS`` rows, one program for any."""

    def decide(params, key, count, episodes, steps, observations, knobs):
        size = batching.rows_at_a_time(knobs, MAX_ENVS)

        def act_one(episode, step, observation, knobs):
            row_key = jax.random.fold_in(jax.random.fold_in(key, episode), step)
            return act(params, row_key, observation, step, knobs)

        rows = episodes, steps, observations, batching.share_chunk(knobs, size)

        def act_block(i: Array, done: ActOutput) -> ActOutput:
            start = i * size  # the last block begins earlier if it would not fit
            block = jax.tree.map(
                lambda leaf: jax.lax.dynamic_slice_in_dim(leaf, start, size), rows
            )
            return jax.tree.map(
                lambda whole, new: jax.lax.dynamic_update_slice_in_dim(
                    whole, new, start, axis=0
                ),
                done,
                jax.vmap(act_one)(*block),
            )

        shapes = jax.eval_shape(jax.vmap(act_one), *rows)
        nothing = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
        return jax.lax.fori_loop(0, (count + size - 1) // size, act_block, nothing)

    return decide


def _play(
    environments: Sequence[gymnasium.Env],
    numbers: np.ndarray,
    num_episodes: int,
    decide: Callable[..., Any],
    base_seed: int,
    map_slices: Callable[[Callable[[np.ndarray], None], int], None],
    should_stop: Callable[[], bool],
) -> results.Tally:
    """Plays one episode in each of the first ``len(numbers)`` environments.

    Episode ``numbers[row]`` is number ``numbers[row] % num_episodes`` of its variant.
    """
    count = len(numbers)
    first = []
    for environment, number in zip(environments, numbers, strict=False):
        _heed(should_stop)
        seed = _reset_seed(base_seed, int(number) % num_episodes)
        first.append(environment.reset(seed=seed)[0])
    observations = np.stack(first).astype(np.float32)
    tally = results.Tally(
        np.zeros(count), np.zeros(count, int), np.zeros(count, bool), False, {}
    )
    alive = np.arange(count)
    step = 0
    while alive.size:
        _heed(should_stop)
        rows = np.resize(alive, MAX_ENVS)  # filled up with repetitions
        steps = np.full(len(rows), step, np.int32)
        output = decide(alive.size, numbers[rows], steps, observations[rows])
        actions = np.asarray(output.action)[: alive.size]
        _require_finite(actions, step)
        for name, values in output.audit.items():
            sums = tally.audit_sums.setdefault(name, np.zeros(count))
            sums[alive] += np.asarray(values)[: alive.size]
        done = _step_all(environments, alive, actions, observations, tally, map_slices)
        alive = alive[~done]
        step += 1
    return tally


def _step_all(
    environments: Sequence[gymnasium.Env],
    alive: np.ndarray,
    actions: np.ndarray,
    observations: np.ndarray,
    tally: results.Tally,
    map_slices: Callable[[Callable[[np.ndarray], None], int], None],
) -> np.ndarray:
    """Steps the living rows on all threads; returns which of them ended."""
    done = np.zeros(alive.size, bool)

    def step_slice(places: np.ndarray) -> None:
        for place in places:
            row = alive[place]
            observation, reward, terminated, truncated, info = environments[row].step(
                actions[place]
            )
            observations[row] = observation
            tally.returns[row] += float(reward)
            tally.lengths[row] += 1
            if "success" in info:
                tally.reports_success = True
                tally.successes[row] |= bool(info["success"])
            done[place] = terminated or truncated

    map_slices(step_slice, alive.size)
    return done


def _map_slices(
    pool: concurrent.futures.Executor,
    num_threads: int,
    function: Callable[[np.ndarray], None],
    size: int,
) -> None:
    """Calls ``function`` on equal slices of ``range(size)``, one a thread."""
    slices = np.array_split(np.arange(size), min(num_threads, size))
    list(pool.map(function, slices))


def _heed(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Cancelled


def _reset_seed(base_seed: int, episode: int) -> int:
    return int(np.random.SeedSequence((base_seed, episode)).generate_state(1)[0])


def _require_finite(actions: np.ndarray, step: int) -> None:
    if not np.isfinite(actions).all():
        raise FloatingPointError(f"the policy gave a non-finite action at step {step}")


def seed_key(seed: int) -> PRNGKey:
    """The key of a seed's evaluations: the same episodes every time."""
    return jax.random.fold_in(jax.random.key(seed), _EVALUATION)
