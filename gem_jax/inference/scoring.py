"""The score: ensemble lower confidence bound plus standardized behavior support."""

from __future__ import annotations

import math
import numbers
from typing import NamedTuple

import jax.numpy as jnp

from gem_jax.ops import normalize, schedule, value
from gem_jax.types import Array

NORMALIZATIONS = ("zscore", "raw")
VALUE_SCALES = ("reward", "zscore")
NO_CAP = 1e9  # nats or standard deviations; finite, so that JSON can hold it


class ScoreOutput(NamedTuple):
    """The score of every candidate and its two terms, each `[..., C]`.

    Attributes:
      total: what selection maximizes; -inf for a candidate that must not be chosen.
      lcb: lower confidence bound, units of return; NaN where a value is not finite.
      support: standardized behavior log-density, NaN where a value or a log-density is
        not finite; or the raw log-density in nats, as it was given.
    """

    total: Array
    lcb: Array
    support: Array


def score(
    q_values: Array,
    behavior_log_prob: Array,
    *,
    kappa: Array | float,
    lam: Array | float,
    normalization: str = "zscore",
    value_scale: str = "reward",
    support_cap: Array | float = NO_CAP,
) -> ScoreOutput:
    """Scores candidates: total = LCB_kappa + lam * support (GEM Eq. 4, 14).

    A candidate with a value or log-density that is not finite ranks last, whatever the
    knobs, and the others are scored as if it were not in the set. Computes in at least
    float32.

    Args:
      q_values: `[E, ..., C]` values of C candidates by E ensemble members.
      behavior_log_prob: `[..., C]` log p_b of the candidates, nats.
      kappa: pessimism, at least 0; a scalar or broadcasting against `[...]`, traced
        or not.
      lam: weight of support, at least 0; the same.
      normalization: ``"zscore"`` standardizes the log-density over the candidates with
        the population std floored at 1e-6 (Eq. 2); ``"raw"`` leaves it in nats.
      value_scale: ``"reward"`` leaves the LCB in units of return, the paper's form, so
        that lam carries those units; ``"zscore"`` standardizes it over the candidates
        too, which makes one lam mean the same on every task.
      support_cap: support above it earns no more. Without a cap, the paper's form,
        support pulls towards the behavior's mode; a cap of 0 only keeps away from what
        the behavior does less often than the set's average.

    Returns:
      ScoreOutput. With one candidate the standardized support is 0.

    Raises:
      ValueError: shapes disagree, a knob given as a number is negative or not finite,
        or an option is unknown.
    """
    q_values = normalize.at_least_float32(q_values)
    behavior_log_prob = normalize.at_least_float32(behavior_log_prob)
    if q_values.shape[1:] != behavior_log_prob.shape:
        raise ValueError(
            f"q_values {q_values.shape} must be [E, ...] over behavior_log_prob "
            f"{behavior_log_prob.shape}"
        )
    _check_option("normalization", normalization, NORMALIZATIONS)
    _check_option("value_scale", value_scale, VALUE_SCALES)
    batch_shape = behavior_log_prob.shape[:-1]
    dtype = jnp.result_type(q_values, behavior_log_prob)
    kappa = _per_set("kappa", kappa, batch_shape).astype(dtype)
    lam = _per_set("lam", lam, batch_shape).astype(dtype)

    valued = jnp.all(jnp.isfinite(q_values), axis=0)
    # Values that fail leave before the arithmetic, or gradients would be NaN for all.
    lcb = value.lower_confidence_bound(jnp.where(valued, q_values, 0.0), kappa)
    lcb = jnp.where(valued, lcb, jnp.nan)
    usable = jnp.isfinite(lcb) & jnp.isfinite(behavior_log_prob)
    support = behavior_log_prob
    if normalization == "zscore":
        support = normalize.standardize(support, usable)
    worth = normalize.standardize(lcb, usable) if value_scale == "zscore" else lcb
    known = jnp.where(usable, support, 0.0)
    total = worth + lam * jnp.minimum(known, jnp.asarray(support_cap, dtype))
    total = jnp.where(usable & jnp.isfinite(total), total, -jnp.inf)
    return ScoreOutput(total=total, lcb=lcb, support=support)


def lambda_schedule(
    t: Array | int,
    *,
    start: Array | float,
    end: Array | float,
    horizon: Array | float,
) -> Array:
    """The support weight at step t of an episode; float32, the shape of t.

    Cosine from ``start`` at t = 0 to ``end`` at t = horizon, constant afterwards. All
    arguments may be traced. The paper's swept number is ``end``.
    """
    return schedule.cosine(jnp.asarray(t), start, end, horizon)


def _per_set(name: str, knob: Array | float, batch_shape: tuple[int, ...]) -> Array:
    """Broadcasts a knob against `[...]` and appends the candidate axis."""
    if isinstance(knob, numbers.Real) and not 0 <= knob < math.inf:
        raise ValueError(f"{name} must be at least 0 and finite, got {knob}")
    return jnp.broadcast_to(jnp.asarray(knob), batch_shape)[..., None]


def _check_option(name: str, option: str, known: tuple[str, ...]) -> None:
    if option not in known:
        raise ValueError(f"{name} must be one of {known}, got {option!r}")
