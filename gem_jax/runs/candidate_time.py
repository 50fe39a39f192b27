"""How long candidates will take to score, said before anything runs."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from gem_jax.types import EnvSpec

_WORTH_SAYING = 600.0  # seconds
_PROBE = 1024, 256, 256  # rows, inputs and outputs of a product, as critics have them


def announce(
    decisions: float,
    knobs: Any,
    config: Any,
    spec: EnvSpec,
    log: Callable[[str], None],
    rate: Callable[[], float] | None = None,
) -> None:
    """Says in a line how long scoring will take, if that is long.

    Args:
      decisions: actions to choose.
      knobs: of acting.
      config: the algorithm's, which gives the sizes of its critics.
      spec: sizes of the environment.
      log: takes one line.
      rate: FLOP a second; measured here when ``None``.
    """
    total = decisions * flops(knobs, config, spec)
    if not total:
        return
    seconds = total / (rate or measured_rate)()
    if seconds >= _WORTH_SAYING:
        log(
            f"scoring num_candidates={knobs.num_candidates} for {decisions:,.0f} "
            f"decisions will take about {_duration(seconds)}; fewer candidates or "
            "episodes take less"
        )


def flops(knobs: Any, config: Any, spec: EnvSpec) -> float:
    """Of the critics for one decision; 0 for a method without them or candidates."""
    critics = getattr(config, "num_critics", 0)
    if not critics or not hasattr(knobs, "num_candidates"):
        return 0.0
    size = getattr(knobs, "set_size", knobs.num_candidates)
    widths = (spec.observation_size + spec.action_size, *config.hidden_sizes, 1)
    products = sum(a * b for a, b in itertools.pairwise(widths))
    return 2.0 * size * critics * products


def measured_rate() -> float:
    """FLOP a second of a matrix product of the critics' kind; takes a moment."""
    rows, inputs, outputs = _PROBE
    product = jax.jit(jnp.matmul)
    left, right = jnp.ones((rows, inputs)), jnp.ones((inputs, outputs))
    product(left, right).block_until_ready()
    seconds = []
    for _ in range(5):
        start = time.perf_counter()
        product(left, right).block_until_ready()
        seconds.append(time.perf_counter() - start)
    return 2.0 * rows * inputs * outputs / min(seconds)


def _duration(seconds: float) -> str:
    if seconds < 2 * 3600:
        return f"{seconds / 60:.0f} minutes"
    if seconds < 48 * 3600:
        return f"{seconds / 3600:.0f} hours"
    return f"{seconds / 86400:,.0f} days"
