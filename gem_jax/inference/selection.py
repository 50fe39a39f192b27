"""Selection among candidates, and the diagnostics of what was selected."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import normalize
from gem_jax.types import Array, PRNGKey


class Selection(NamedTuple):
    """The outcome of selection.

    Attributes:
      action: `[..., A]`, to be executed: the mean of the M best or drawn candidates.
      best_action: `[..., A]`, the single best candidate, or the first one drawn, which
        the audits look at.
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


def select(
    candidates: Array,
    total: Array,
    *,
    top_m: int = 1,
    temperature: Array | float | None = None,
    key: PRNGKey | None = None,
) -> Selection:
    """Picks the highest score, or the mean of the M highest (GEM Eq. 15, 78).

    With a temperature M candidates are drawn instead, each with a probability
    proportional to exp(score / temperature), and averaged. A candidate whose score or
    action is NaN or infinite is neither chosen nor drawn nor averaged; where fewer than
    M are left, the mean of the highest is that of the rest.

    Args:
      candidates: `[..., C, A]`.
      total: `[..., C]` scores.
      top_m: M, static, at least 1, and without a temperature at most C. The mean of
        several candidates smooths the choice but may lie between modes.
      temperature: positive, units of the score; traced or not.
      key: consumed, with a temperature.

    Raises:
      ValueError: shapes disagree, M is out of range, or a temperature came without a
        key, a key without a temperature, or a temperature that is not positive.
    """
    candidates, total = jnp.asarray(candidates), normalize.at_least_float32(total)
    if candidates.shape[:-1] != total.shape:
        raise ValueError(f"candidates {candidates.shape} do not match {total.shape}")
    if (temperature is None) != (key is None):
        raise ValueError("temperature and key go together: give both, or neither")
    if isinstance(temperature, numbers.Real) and not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, got {temperature}")
    most = total.shape[-1] if temperature is None else math.inf
    if not 1 <= top_m <= most:
        raise ValueError(f"top_m must be in 1..{most}, got {top_m}")
    good = jnp.isfinite(total) & jnp.all(jnp.isfinite(candidates), axis=-1)
    worth = jnp.where(good, total, -jnp.inf)
    all_bad = ~jnp.any(good, axis=-1)
    if temperature is None or key is None:
        # Of equal scores the first wins: a set of -inf answers its first member.
        _, indices = jax.lax.top_k(worth, top_m)
    else:
        indices = _draw(key, worth, top_m, temperature)
    best = jnp.take_along_axis(candidates, indices[..., None], axis=-2)
    return Selection(
        action=_mean(best, jnp.take_along_axis(good, indices, axis=-1), all_bad),
        best_action=best[..., 0, :],
        best_index=indices[..., 0],
        bad_share=jnp.mean(~good, axis=-1, dtype=jnp.float32),
        all_bad=all_bad,
    )


def _draw(key: PRNGKey, worth: Array, count: int, temperature: Array | float) -> Array:
    """`[..., M]` int32, drawn with replacement; of a set without worth the first."""
    # The highest comes off first: scores far from 0 keep their differences.
    highest = jnp.max(worth, axis=-1, keepdims=True)
    logits = jnp.where(worth == highest, 0.0, (worth - highest) / temperature)
    first = jnp.where(jnp.arange(worth.shape[-1]) == 0, 0.0, -jnp.inf)
    logits = jnp.where(highest == -jnp.inf, first.astype(worth.dtype), logits)
    drawn = jax.random.categorical(key, logits, shape=(count, *worth.shape[:-1]))
    return jnp.moveaxis(drawn, 0, -1).astype(jnp.int32)


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
