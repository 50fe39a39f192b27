"""What both benchmarks measure with: clocks, the compiler's analyses, the platform."""

from __future__ import annotations

import functools
import os
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import tabulate

from gem_jax import algorithms, errors
from gem_jax.data import tasks
from gem_jax.types import EnvSpec, Transition

_PRODUCT_ROWS = 1024  # smaller products are repeated, so that a call lasts a while
_NUM_TRANSITIONS = 100_000
_EPISODE_STEPS = 1_000
_TURN_SECONDS = 0.1
_PEAK_CALLS = 20  # the fastest of fewer would often be slow, and shares above one


def interleaved(
    functions: Mapping[str, Callable[[], Any]],
    *,
    calls: int,
    seconds: float,
    warm_up: int = 1,
    turn: int = 1,
) -> dict[str, np.ndarray]:
    """Seconds of each call, all functions taking turns.

    A busy moment of the machine then meets all of them, and ratios stay fair.

    Args:
      functions: each does its work and waits for it.
      calls: of each function, at most.
      seconds: after which no further round begins; two rounds are always made.
      warm_up: rounds before them that are not counted, at most: after the first they
        end with a tenth of ``seconds``.
      turn: calls of a function in a row, as many as take a tenth of a second at most.
        In a row a call finds in the caches what it left there itself.
    """
    begin = time.perf_counter()
    slowest = 0.0
    for done in range(warm_up):
        if done >= 1 and time.perf_counter() - begin > seconds / 10:
            break
        slowest = max(_seconds(function) for function in functions.values())
    in_a_row = max(1, min(turn, int(_TURN_SECONDS / slowest))) if slowest else 1
    times: dict[str, list[float]] = {name: [] for name in functions}
    begin = time.perf_counter()
    for done in range(0, calls, in_a_row):
        if done >= 2 * in_a_row and time.perf_counter() - begin > seconds:
            break
        for name, function in functions.items():
            times[name] += [_seconds(function) for _ in range(in_a_row)]
    return {name: np.array(taken[:calls]) for name, taken in times.items()}


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def products(size: int = 1024) -> tuple[Callable[[], Any], float]:
    """Square float32 products in one program, to take turns with what is measured.

    Args:
      size: rows of the matrices: 1024 for the machine's own peak, a batch's for what
        products of that size can reach.

    Returns:
      The call, and its floating-point operations.
    """
    count = max(1, _PRODUCT_ROWS // size) ** 2
    matrix = jax.random.normal(jax.random.key(0), (size, size)) / size**0.5

    @jax.jit
    def chain(matrix: jax.Array) -> jax.Array:
        return jax.lax.fori_loop(0, count, lambda _, x: x @ matrix, matrix)

    return waited(chain, matrix), count * 2.0 * size**3


def peak(
    products: Callable[[], Any], operations: float, times: Sequence[float] | np.ndarray
) -> float:
    """Operations a second of the fastest product: others can only slow one down.

    Args:
      products: the call; made again until there are `_PEAK_CALLS` times.
      operations: of a call.
      times: seconds of the calls that took turns with what was measured.
    """
    more = max(0, _PEAK_CALLS - len(times))
    if more:
        extra = interleaved({"products": products}, calls=more, seconds=np.inf)
        times = [*times, *extra["products"]]
    return operations / float(min(times))


def quantile(times: Sequence[float] | np.ndarray, percent: int) -> float | None:
    """The quantile of as many times as it takes to have one beyond it, or ``None``."""
    if len(times) * (100 - percent) < 100:
        return None
    return float(np.percentile(times, percent))


def nominal_spec(task: tasks.Task) -> EnvSpec:
    """A task's shapes with a dataset's sizes, where no data is read."""
    return EnvSpec(
        task.observation_size,
        task.action_size,
        task.horizon,
        num_transitions=_NUM_TRANSITIONS,
        num_episodes=_NUM_TRANSITIONS // _EPISODE_STEPS,
    )


def synthetic(spec: EnvSpec) -> Transition:
    """Normal numbers in the shapes of a dataset; they are never called data.

    Args:
      spec: sizes; its trajectories are of equal lengths.
    """
    rng = np.random.default_rng(0)
    size = spec.num_transitions
    shape = (size, spec.observation_size)
    episode = np.arange(size) * spec.num_episodes // size
    return Transition(
        observation=jnp.asarray(rng.standard_normal(shape, np.float32)),
        action=jnp.asarray(rng.uniform(-1, 1, (size, spec.action_size)), np.float32),
        reward=jnp.asarray(rng.standard_normal(size, np.float32)),
        next_observation=jnp.asarray(rng.standard_normal(shape, np.float32)),
        terminal=jnp.zeros(size, np.float32),
        extras={"episode": jnp.asarray(episode, np.int32)},
    )


def flops(compiled: Any) -> float:
    """Floating-point operations by the compiler's count; loop bodies count once."""
    analysis = compiled.cost_analysis() or {}
    return float(analysis.get("flops", np.nan))


def program_bytes(compiled: Any) -> dict[str, int]:
    """Memory by the compiler's plan: arguments, results and what lies between."""
    analysis = compiled.memory_analysis()
    return {
        "argument_bytes": analysis.argument_size_in_bytes,
        "output_bytes": analysis.output_size_in_bytes,
        "temporary_bytes": analysis.temp_size_in_bytes,
    }


def allocator_peak() -> int | None:
    """Most bytes that the device held since the process began, where it counts them."""
    statistics = jax.devices()[0].memory_stats() or {}
    return statistics.get("peak_bytes_in_use")


def count_parameters(params: Any) -> int:
    """Numbers in a pytree of arrays."""
    return sum(jnp.size(leaf) for leaf in jax.tree.leaves(params))


def machine() -> dict[str, Any]:
    """Platform and versions, to stand beside every number."""
    device = jax.devices()[0]
    return {
        "platform": f"{jax.default_backend()} {device.device_kind}",
        "processor": platform.machine(),
        "cores": len(os.sched_getaffinity(0)),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "versions": {
            "python": platform.python_version(),
            "jax": jax.__version__,
            "flax": flax.__version__,
            "numpy": np.__version__,
        },
    }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Columns aligned to the right, for a terminal."""
    return tabulate.tabulate(
        [header, *rows], tablefmt="plain", disable_numparse=True, stralign="right"
    )


def whole_numbers(name: str, texts: Sequence[str], least: int) -> list[int]:
    """The values of a list flag.

    Raises:
      UserError: one is not a whole number, or too small, or there is none.
    """
    for text in texts or [""]:
        if not text.isdecimal() or int(text) < least:
            raise errors.UserError(
                f"--{name} takes whole numbers from {least} on, got {text!r}"
            )
    return [int(text) for text in texts]


def require_methods(names: Sequence[str]) -> None:
    """Checks ``--methods``.

    Raises:
      UserError: one is no algorithm.
    """
    for name in names:
        if name not in algorithms.names():
            known = ", ".join(algorithms.names())
            raise errors.UserError(f"unknown --methods={name!r}; choose one of {known}")


def waited(function: Callable[..., Any], *arguments: Any) -> Callable[[], Any]:
    """The call with its arguments, until its results exist."""
    return functools.partial(_run, function, arguments)


def _run(function: Callable[..., Any], arguments: Sequence[Any]) -> Any:
    return jax.block_until_ready(function(*arguments))
