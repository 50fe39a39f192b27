"""Selection of the best candidate, and the audits of what was selected."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import normalize
from gem_jax.types import Array


class Selection(NamedTuple):
    """The outcome of selection.

    Attributes:
      action: `[..., A]`, to be executed: the mean of the best M candidates.
      best_action: `[..., A]`, the single best candidate, which the audits look at.
      best_index: `[...]` int32, its place in the candidate set.
      bad_share: `[...]`, share of candidates whose score or action is not finite.
      all_bad: `[...]` bool: there was nothing to choose from, and the first candidate,
        the anchor where the set has one, is the answer.
    """

    action: Array
    best_action: Array
    best_index: Array
    bad_share: Array
    all_bad: Array


def select(candidates: Array, total: Array, *, top_m: int = 1) -> Selection:
    """Picks the highest score, or the mean of the M highest (GEM Eq. 15, 78).

    A candidate whose score or action is NaN or infinite is neither chosen nor averaged;
    where fewer than M are left, the mean is that of the rest.

    Args:
      candidates: `[..., C, A]`.
      total: `[..., C]` scores.
      top_m: M between 1 and C, static. The mean of several candidates smooths the
        choice but may lie between modes.

    Raises:
      ValueError: shapes disagree or M is out of range.
    """
    candidates, total = jnp.asarray(candidates), normalize.at_least_float32(total)
    if candidates.shape[:-1] != total.shape:
        raise ValueError(f"candidates {candidates.shape} do not match {total.shape}")
    if not 1 <= top_m <= total.shape[-1]:
        raise ValueError(f"top_m must be in 1..{total.shape[-1]}, got {top_m}")
    good = jnp.isfinite(total) & jnp.all(jnp.isfinite(candidates), axis=-1)
    # Of equal scores the first wins, so that a set of -inf answers its first member.
    highest, indices = jax.lax.top_k(jnp.where(good, total, -jnp.inf), top_m)
    all_bad = highest[..., 0] == -jnp.inf
    best = jnp.take_along_axis(candidates, indices[..., None], axis=-2)
    return Selection(
        action=_mean(best, highest > -jnp.inf, all_bad),
        best_action=best[..., 0, :],
        best_index=indices[..., 0],
        bad_share=jnp.mean(~good, axis=-1, dtype=jnp.float32),
        all_bad=all_bad,
    )


def _mean(best: Array, good: Array, all_bad: Array) -> Array:
    """Mean of the good ones of `[..., M, A]`, or the first where none is."""
    first = jnp.arange(good.shape[-1]) == 0
    kept = good | (all_bad[..., None] & jnp.broadcast_to(first, good.shape))
    total = jnp.sum(jnp.where(kept[..., None], best, 0.0), axis=-2)
    return total / jnp.sum(kept, axis=-1, keepdims=True)


def audit(
    selection: Selection,
    support_z: Array,
    behavior_means: Array,
    *,
    violation_threshold: Array | float,
) -> Mapping[str, Array]:
    """The paper's three audits of the single best candidate, and two of the set.

    Args:
      selection: what ``select`` returned.
      support_z: `[..., C]` standardized behavior log-density of the candidates, NaN
        for those that could not be scored.
      behavior_means: `[..., K, A]` component means of the behavior mixture.
      violation_threshold: z below which a choice counts as low-support.

    Returns:
      `[...]` each. ``support_z``: z of the choice, 0 in a set of one;
      ``violation_rate``: 1 where z lies below the threshold, else 0. A z that is not
      finite, as in a set where none could be scored, is 0 in both.
      ``collapse_dist``: distance from the choice to the nearest behavior mean, action
      units; ``bad_candidates``: share that could not be scored or executed;
      ``bad_set``: 1 where that is all of them, and the first was the answer.
    """
    index = selection.best_index[..., None]
    z = jnp.take_along_axis(support_z, index, axis=-1)[..., 0]
    judged = jnp.isfinite(z)
    offsets = selection.best_action[..., None, :] - behavior_means
    return {
        "support_z": jnp.where(judged, z, 0.0),
        "violation_rate": (judged & (z < violation_threshold)).astype(z.dtype),
        "collapse_dist": jnp.min(jnp.linalg.norm(offsets, axis=-1), axis=-1),
        "bad_candidates": selection.bad_share.astype(z.dtype),
        "bad_set": selection.all_bad.astype(z.dtype),
    }
