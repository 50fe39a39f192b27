"""Metrics of a batch."""

from __future__ import annotations

from collections.abc import Mapping

import jax.numpy as jnp

from gem_jax.types import Array, Metrics

PerTransition = Mapping[str, Array]  # by name, `[B]`: one for each transition


def means(per_transition: PerTransition) -> Metrics:
    """The mean of each row, `[B]` to `[]`.

    In one reduction, where one for each metric would be several operations apiece.
    """
    values = jnp.mean(jnp.stack(list(per_transition.values())), axis=1)
    return dict(zip(per_transition, values, strict=True))


def regression_means(
    per_transition: PerTransition, weight: Array, capped: Array
) -> Metrics:
    """The mean of each row, and what the weights of a regression come to.

    ``actor/effective_share`` is the effective sample size as a share of the batch,
    (sum w)^2 / (B sum w^2): 1 for equal weights, 1 / B where one row has them all, and
    0 where float32 does not hold their squares.

    Args:
      per_transition: `[B]` each.
      weight: `[B]` of the regression.
      capped: `[B]` whether a weight stands at its cap.
    """
    found = means(
        {
            **per_transition,
            "actor/weight": weight,
            "actor/capped_share": capped.astype(weight.dtype),
            "square": weight**2,
        }
    )
    metrics = {name: value for name, value in found.items() if name != "square"}
    share = found["actor/weight"] ** 2 / found["square"]
    # Unlike a weight that is not finite, which its mean shows, this is no fault.
    return {**metrics, "actor/effective_share": jnp.nan_to_num(share)}
