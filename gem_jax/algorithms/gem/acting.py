"""How GEM acts: propose, score, select (Eq. 1 to 15)."""

from __future__ import annotations

import jax.numpy as jnp

from gem_jax import inference
from gem_jax.algorithm import ActFn, Judged, JudgeFn
from gem_jax.algorithms.gem.judging import ScoredSet, make_score_set
from gem_jax.algorithms.gem.state import ActorParams, Parts
from gem_jax.ops import normalize
from gem_jax.types import ActOutput, Array, PRNGKey


def make_act(parts: Parts) -> ActFn:
    """The anchor and N samples, the best of which is executed."""
    score_set = make_score_set(parts)

    def act(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
    ) -> ActOutput:
        return select(score_set(params, key, observation, t, knobs, None), knobs)

    return act


def make_judge(parts: Parts) -> JudgeFn:
    """What ``act`` selects from, and by."""
    score_set = make_score_set(parts)

    def judge(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
    ) -> Judged:
        found, scores, _ = score_set(params, key, observation, t, knobs, None)
        spread = jnp.std(found.q_values, axis=0)
        terms = {"lcb": scores.lcb, "support": scores.support, "q_std": spread}
        return Judged(found.actions, scores.total, terms)

    return judge


def select(found: ScoredSet, knobs: inference.Knobs) -> ActOutput:
    """Selects from a candidate set, and audits the choice (Eq. 15)."""
    candidates, scores, behavior = found
    selection = inference.select(candidates.actions, scores.total, top_m=knobs.top_m)
    support_z = scores.support
    if knobs.normalization != "zscore":
        support_z = normalize.standardize(candidates.log_prob)
    audit = inference.audit(
        selection,
        support_z,
        behavior.means,
        violation_threshold=knobs.violation_threshold,
    )
    return ActOutput(selection.action, audit)
