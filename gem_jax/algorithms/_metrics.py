"""Metrics of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp

from gem_jax.types import Array, Metrics

Rows = Mapping[str, Array]  # by name, a value for each transition of the batch, [B]


def means(rows: Rows) -> Metrics:
    """The mean of each row, `[B]` to `[]`.

    In one reduction, where one for each metric would be several operations apiece.
    """
    values = jnp.mean(jnp.stack(list(rows.values())), axis=1)
    return dict(zip(rows, values, strict=True))
