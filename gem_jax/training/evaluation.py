"""The one evaluator: whole episodes, batched over environments on all cores.

A fixed number of episodes runs to their ends; stepping for a fixed number of steps
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
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import acting, envs, errors
from gem_jax.algorithm import Algorithm, Memory
from gem_jax.data.task import Task
from gem_jax.envs.checked import CheckedEnv
from gem_jax.training import results
from gem_jax.training.results import EvalResult as EvalResult
from gem_jax.training.results import headline_of_rows as headline_of_rows
from gem_jax.training.results import to_row as to_row
from gem_jax.types import ActOutput, Array, PolicyParams, PRNGKey
from gem_jax.utils import caching

_MOST_EPISODES = 2**31 - 1  # their numbers are int32
MAX_ENVS = 128  # environments alive at a time; fewer where each holds much memory
_EVALUATION = 0x6576616C  # sets an evaluation's keys apart from training's


class Cancelled(Exception):
    """The caller's ``should_stop`` asked to end the evaluation."""


@contextlib.contextmanager
def make_evaluator(
    task: Task, algorithm: Algorithm, *, num_threads: int | None = None
) -> Iterator[Callable[..., list[EvalResult]]]:
    """Yields ``evaluate(params, key, variants, num_episodes, should_stop)``.

    It runs the same episodes, with the same random numbers, under each of the knobs in
    ``variants``, side by side, and returns an ``EvalResult`` for each. Variants may
    differ in traced numbers only. Environments and compiled programs are reused from
    call to call; the first environment is made at once.

    Args:
      task: says which environment, and what it must be like.
      algorithm: acts, with memory or without.
      num_threads: threads that step environments; all cores when ``None``. MuJoCo
        releases the interpreter while it steps.

    Raises:
      UserError: the task names no environment, it cannot be made, its spaces are not
        the task's; and from ``evaluate``, it failed, or showed what is no number.
    """
    environments = [CheckedEnv(task)]
    num_threads = num_threads or os.cpu_count() or 1
    pool = concurrent.futures.ThreadPoolExecutor(num_threads)
    step_slices = functools.partial(_map_slices, pool, num_threads)
    at_once = envs.most_alive(environments[0].name, MAX_ENVS)
    at_rest = np.broadcast_to(algorithm.spec.action_box.center, task.action_size)
    acts = algorithm._replace(knobs=())  # they are arguments
    decide = jax.jit(_decide_fn(acts), donate_argnames="memory")
    begin = jax.jit(_begin_fn(acts))

    def evaluate(
        params: PolicyParams,
        key: PRNGKey,
        variants: Sequence[Any],
        num_episodes: int,
        should_stop: Callable[[], bool] = lambda: False,
    ) -> list[EvalResult]:
        if num_episodes < 1:
            raise errors.UserError(f"--episodes must be at least 1, got {num_episodes}")
        total = len(variants) * num_episodes
        if total > _MOST_EPISODES:
            raise errors.UserError(
                f"{total:,} episodes cannot be played; lower --episodes"
            )
        while len(environments) < min(total, at_once):
            _heed(should_stop)
            environments.append(CheckedEnv(task))
        start = time.perf_counter()
        reset_key, action_key = jax.random.split(key)
        reset_seed = int(jax.random.bits(reset_key, dtype=jnp.uint32))
        functions = _of_variants(
            begin, decide, params, action_key, variants, num_episodes
        )
        waves = [
            _run_wave(
                environments,
                np.arange(first, min(first + at_once, total), dtype=np.int32),
                num_episodes,
                at_rest,
                *functions,
                reset_seed,
                step_slices,
                should_stop,
            )
            for first in range(0, total, at_once)
        ]
        return results.summarize(waves, len(variants), time.perf_counter() - start)

    try:
        yield evaluate
    finally:
        pool.shutdown()
        for environment in environments:
            environment.close()


def _of_variants(
    begin: Callable[..., Memory],
    decide: Callable[..., Any],
    params: PolicyParams,
    key: PRNGKey,
    variants: Sequence[Any],
    num_episodes: int,
) -> tuple[Callable[[np.ndarray], Memory], Callable[..., Any]]:
    """``begin`` and ``decide`` of episodes by their numbers over all variants."""
    knobs = jax.tree.map(lambda *leaves: np.stack(leaves), *variants)

    def knobs_of(numbers: np.ndarray) -> Any:
        return jax.tree.map(lambda leaf: leaf[numbers // num_episodes], knobs)

    def begin_wave(numbers: np.ndarray) -> Memory:
        return begin(params, knobs_of(np.resize(numbers, MAX_ENVS)))

    def decide_rows(numbers: np.ndarray, **inputs: Any) -> Any:
        episodes, mine = numbers % num_episodes, knobs_of(numbers)
        return decide(params, key, episodes, knobs=mine, **inputs)

    return begin_wave, decide_rows


@caching.kept
def _begin_fn(algorithm: Algorithm) -> Callable[..., Memory]:
    """The memory of ``MAX_ENVS`` episodes, each with knobs of its own."""

    def begin(params: PolicyParams, knobs: Any) -> Memory:
        rows = jnp.arange(MAX_ENVS)  # there may be neither knobs nor memory
        return jax.vmap(lambda _, own: acting.init_memory(algorithm, params, own))(
            rows, knobs
        )

    return begin


@caching.kept
def _decide_fn(algorithm: Algorithm) -> Callable[..., tuple[ActOutput, Memory]]:
    """One step of the first ``count`` of ``MAX_ENVS`` rows, one program for any."""
    step = acting.make_step(algorithm)

    def decide(
        params: PolicyParams,
        key: PRNGKey,
        episodes: Array,
        *,
        count: Array,
        places: Array,
        memory: Memory,
        seen: acting.Seen,
        knobs: Any,
    ) -> tuple[ActOutput, Memory]:
        """Rows belong to ``episodes``, whose memory lies at ``places``."""
        size = acting.rows_at_a_time(knobs, MAX_ENVS)

        def step_one(row: Any) -> tuple[ActOutput, Memory]:
            episode, memory, seen, knobs = row
            row_key = jax.random.fold_in(jax.random.fold_in(key, episode), seen.t)
            return step(params, row_key, memory, seen, knobs)

        mine = jax.tree.map(lambda leaf: leaf[places], memory)
        rows = episodes, mine, seen, acting.share_chunk(knobs, size)
        output, new = acting.map_rows(step_one, rows, size, count)
        written = jnp.where(jnp.arange(MAX_ENVS) < count, places, MAX_ENVS)
        return output, jax.tree.map(
            lambda old, leaf: old.at[written].set(leaf, mode="drop"), memory, new
        )

    return decide


class _Episodes(NamedTuple):
    """What running episodes show, a row an environment; written in place.

    Attributes:
      observations: `[rows, O]`.
      actions: `[rows, A]`, the last ones.
      rewards: `[rows]`, what they brought.
    """

    observations: np.ndarray
    actions: np.ndarray
    rewards: np.ndarray

    def seen(self, rows: np.ndarray, step: int) -> acting.Seen:
        steps = np.full(len(self.rewards), step, np.int32)
        leaves: Any = (self.observations, steps, self.actions, self.rewards)
        return acting.Seen(*(leaf[rows] for leaf in leaves))


def _run_wave(
    environments: Sequence[CheckedEnv],
    numbers: np.ndarray,
    num_episodes: int,
    at_rest: np.ndarray,
    begin: Callable[[np.ndarray], Memory],
    decide: Callable[..., Any],
    base_seed: int,
    map_slices: Callable[[Callable[[np.ndarray], None], int], None],
    should_stop: Callable[[], bool],
) -> results.Tally:
    """Runs one episode in each of the first ``len(numbers)`` environments.

    Episode ``numbers[row]`` is number ``numbers[row] % num_episodes`` of its variant.
    The last action before an episode's first is ``at_rest``.
    """
    count = len(numbers)

    def reset(row: int) -> np.ndarray:
        _heed(should_stop)
        seed = _reset_seed(base_seed, int(numbers[row]) % num_episodes)
        return environments[row].reset(seed=seed)[0]

    episodes = _Episodes(
        np.stack(_each_row(map_slices, reset, count)).astype(np.float32),
        np.tile(np.float32(at_rest), (count, 1)),
        np.zeros(count, np.float32),
    )
    memory = begin(numbers)
    tally = results.Tally(
        np.zeros(count), np.zeros(count, int), np.zeros(count, bool), False, {}
    )
    alive = np.arange(count)
    _require_numbers(environments, alive, episodes.observations, "an observation", 0)
    step = 0
    while alive.size:
        _heed(should_stop)
        rows = np.resize(alive, MAX_ENVS)  # filled up with repetitions
        output, memory = decide(
            numbers[rows],
            count=alive.size,
            places=rows,
            memory=memory,
            seen=episodes.seen(rows, step),
        )
        output = jax.device_get(output)  # all at once, and not one wait for each
        actions = output.action[: alive.size]
        _require_finite(actions, step)
        for name, values in output.audit.items():
            sums = tally.audit_sums.setdefault(name, np.zeros(count))
            sums[alive] += np.asarray(values)[: alive.size]
        done = _step_all(environments, alive, actions, episodes, tally, map_slices)
        step += 1
        _require_numbers(environments, alive, episodes.rewards, "a reward", step)
        alive = alive[~done]
        shown = episodes.observations
        _require_numbers(environments, alive, shown, "an observation", step)
    return tally


def _step_all(
    environments: Sequence[CheckedEnv],
    alive: np.ndarray,
    actions: np.ndarray,
    episodes: _Episodes,
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
            episodes.observations[row] = observation
            episodes.actions[row] = actions[place]
            episodes.rewards[row] = reward
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


def _each_row(
    map_slices: Callable[[Callable[[np.ndarray], None], int], None],
    function: Callable[[int], np.ndarray],
    count: int,
) -> list[np.ndarray]:
    """What ``function`` returns of each row, on all threads."""
    found: dict[int, np.ndarray] = {}

    def one_slice(rows: np.ndarray) -> None:
        found.update((row, function(row)) for row in rows.tolist())

    map_slices(one_slice, count)
    return [found[row] for row in range(count)]


def _heed(should_stop: Callable[[], bool]) -> None:
    if should_stop():
        raise Cancelled


def _reset_seed(base_seed: int, episode: int) -> int:
    return int(np.random.SeedSequence((base_seed, episode)).generate_state(1)[0])


def _require_numbers(
    environments: Sequence[CheckedEnv],
    rows: np.ndarray,
    values: np.ndarray,
    what: str,
    step: int,
) -> None:
    """Refuses what no policy can answer, and no return can hold."""
    good = np.isfinite(values[rows])
    if not good.all():
        row = rows[np.argwhere(~good)[0][0]]
        raise errors.UserError(
            f"environment {environments[row].name} gave {what} that is not finite in "
            f"float32, after {step} steps; mend it"
        )


def _require_finite(actions: np.ndarray, step: int) -> None:
    if not np.isfinite(actions).all():
        raise FloatingPointError(f"the policy gave a non-finite action at step {step}")


def seed_key(seed: int) -> PRNGKey:
    """The key of a seed's evaluations: the same episodes every time."""
    return jax.random.fold_in(jax.random.key(seed), _EVALUATION)
