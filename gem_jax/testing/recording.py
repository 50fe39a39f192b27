"""What the training loop yields, kept beyond the next dispatch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import jax


def keep(chunks: Iterable[Any], end_step: int | None = None) -> list[Any]:
    """Runs the loop to a step, or to its end; states go to the host.

    They are copied there because each chunk donates the state before it.
    """
    kept = []
    for chunk in chunks:
        kept.append(chunk._replace(state=jax.device_get(chunk.state)))
        if chunk.step == end_step:
            break
    return kept
