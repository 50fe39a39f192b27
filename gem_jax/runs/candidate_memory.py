"""Whether a set of candidates fits in memory, estimated before anything runs."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from gem_jax import errors
from gem_jax.inference import chunks
from gem_jax.types import EnvSpec
from gem_jax.utils import memory

_BYTES = 4  # of a float


def free_bytes() -> int:
    """Memory that a program may still take."""
    statistics = jax.devices()[0].memory_stats() or {}
    if "bytes_limit" in statistics:
        return statistics["bytes_limit"] - statistics.get("bytes_in_use", 0)
    return memory.free_bytes()


def require(
    knobs: Any,
    config: Any,
    spec: EnvSpec,
    rows: int,
    free: int,
    *,
    on_cpu: bool,
    prefix: str = "--",
) -> None:
    """Refuses a number of candidates that is too large.

    Args:
      knobs: of acting.
      config: the algorithm's, which gives the sizes of its critics.
      spec: sizes of the environment.
      rows: states at a time.
      free: bytes.
      on_cpu: whether the states are taken a few at a time.
      prefix: of the knobs' flags.

    Raises:
      UserError: the estimate is larger than what is free; says what would fit.
    """
    needed = estimate(knobs, config, spec, rows, on_cpu=on_cpu)
    if needed <= free:
        return
    chunked = knobs  # few methods score in chunks
    if hasattr(knobs, "chunk_size"):
        chunked = dataclasses.replace(knobs, chunk_size=0)
    fits = largest_that_fits(chunked, config, spec, rows, free, on_cpu=on_cpu)
    how = f"in chunks ({prefix}chunk_size=0) " if chunked != knobs else ""
    raise errors.UserError(
        f"{prefix}num_candidates={knobs.num_candidates} for {rows} state(s) at a time "
        f"needs about {needed / 1e9:.1f} GB and {free / 1e9:.1f} are free; {how}up to "
        f"{fits} candidates fit"
    )


def estimate(knobs: Any, config: Any, spec: EnvSpec, rows: int, *, on_cpu: bool) -> int:
    """Bytes: activations of a chunk, and what is kept of each candidate.

    A method without chunks has all candidates at once. A configuration may say itself,
    by ``floats_per_candidate``, what one takes beside critics. 0 for a method without
    candidates.
    """
    if not hasattr(knobs, "num_candidates"):
        return 0
    size = getattr(knobs, "set_size", knobs.num_candidates)
    automatic = chunks.CPU_CHUNK if on_cpu else chunks.ACCELERATOR_CHUNK
    if on_cpu:
        rows = min(rows, max(1, automatic // size))
    asked = getattr(knobs, "chunk_size", size)
    chunk = min(size, asked or max(1, automatic // rows))
    critics = getattr(config, "num_critics", 0)
    layers = 2 * critics * max(config.hidden_sizes) if critics else 0
    layers = max(layers, getattr(config, "floats_per_candidate", 0))
    # The candidate, its noise and random bits; its values, and a copy of them.
    kept = 5 * spec.action_size + 2 * critics + 4
    return _BYTES * rows * (chunk * layers + size * kept)


def largest_that_fits(
    knobs: Any, config: Any, spec: EnvSpec, rows: int, free: int, *, on_cpu: bool
) -> int:
    """The largest power of two candidates whose estimate fits; 0 if none does."""

    def needed(count: int) -> int:
        changed = dataclasses.replace(knobs, num_candidates=count)
        return estimate(changed, config, spec, rows, on_cpu=on_cpu)

    fitting = (2**power for power in range(40, -1, -1))
    return next((count for count in fitting if needed(count) <= free), 0)
