"""Selection of the best candidate, and the audits of what was selected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.types import Array


class Selection(NamedTuple):
    """The outcome of selection.

    Attributes:
      action: `[..., A]`, to be executed: the mean of the best M candidates.
      best_action: `[..., A]`, the single best candidate, which the audits look at.
      best_index: `[...]` int32, its place in the candidate set.
    """

    action: Array
    best_action: Array
    best_index: Array


def select(candidates: Array, total: Array, *, top_m: int = 1) -> Selection:
    """Picks the highest score, or the mean of the M highest (GEM Eq. 15, 78).

    Args:
      candidates: `[..., C, A]`.
      total: `[..., C]` scores.
      top_m: M between 1 and C, static. The mean of several candidates smooths the
        choice but may lie between modes.

    Raises:
      ValueError: shapes disagree or M is out of range.
    """
    if candidates.shape[:-1] != total.shape:
        raise ValueError(f"candidates {candidates.shape} do not match {total.shape}")
    if not 1 <= top_m <= total.shape[-1]:
        raise ValueError(f"top_m must be in 1..{total.shape[-1]}, got {top_m}")
    _, indices = jax.lax.top_k(total, top_m)
    best = jnp.take_along_axis(candidates, indices[..., None], axis=-2)
    return Selection(
        action=jnp.mean(best, axis=-2),
        best_action=best[..., 0, :],
        best_index=indices[..., 0],
    )


def audit(
    selection: Selection,
    support_z: Array,
    behavior_means: Array,
    *,
    violation_threshold: Array | float,
) -> Mapping[str, Array]:
    """The paper's three audits of the single best candidate, each `[...]`.

    Args:
      selection: what ``select`` returned.
      support_z: `[..., C]` standardized behavior log-density of the candidates.
      behavior_means: `[..., K, A]` component means of the behavior mixture.
      violation_threshold: z below which a choice counts as low-support.

    Returns:
      ``support_z``: z of the choice, 0 in a set of one; ``violation_rate``: 1 where z
      lies below the threshold; ``collapse_dist``: distance from the choice to the
      nearest behavior mean, action units.
    """
    index = selection.best_index[..., None]
    z = jnp.take_along_axis(support_z, index, axis=-1)[..., 0]
    offsets = selection.best_action[..., None, :] - behavior_means
    return {
        "support_z": z,
        "violation_rate": (z < violation_threshold).astype(z.dtype),
        "collapse_dist": jnp.min(jnp.linalg.norm(offsets, axis=-1), axis=-1),
    }
