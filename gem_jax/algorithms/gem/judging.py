"""What GEM chooses from: candidates, and the scores of a set (Eq. 1 to 14)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol

import jax.numpy as jnp

from gem_jax import errors, inference
from gem_jax.algorithm import ProposeFn
from gem_jax.algorithms.gem.state import ActorParams, Parts, Scales
from gem_jax.learners import moments
from gem_jax.ops import mixture, normalize
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, PRNGKey

_REFINED = 4  # candidates that follow the score's gradient


class Candidates(NamedTuple):
    """Attributes:
    actions: `[C, A]`, the anchor first where the set has one.
    q_values: `[E, C]`.
    log_prob: `[C]`, under the behavior.
    """

    actions: Array
    q_values: Array
    log_prob: Array


class ScoredSet(NamedTuple):
    """A candidate set, judged.

    Attributes:
      candidates: of which the anchor is the first, where there is one.
      scores: of each.
      behavior: of the state.
    """

    candidates: Candidates
    scores: inference.ScoreOutput
    behavior: mixture.Mixture


class ScoreSetFn(Protocol):
    """Proposes and scores, with samples from elsewhere or, without a sampler, GEM's."""

    def __call__(
        self,
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
        sampler: inference.Sampler | None,
    ) -> ScoredSet: ...


def make_propose(parts: Parts) -> ProposeFn:
    """Samples of the source that the knobs name."""

    def propose(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        n: int,
        knobs: inference.Knobs,
    ) -> Array:
        p_actor = parts.actor.apply(params.actor, observation)
        p_behavior = parts.behavior.apply(params.behavior, observation)
        return inference.propose(
            *(key, _source(p_actor, p_behavior, knobs), n),
            anchor=None,
            temperature=knobs.temperature,
            denoise_steps=knobs.denoise_steps,
        )

    return propose


def make_score_set(parts: Parts) -> ScoreSetFn:
    """All of acting but the choice."""

    def score_set(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
        sampler: inference.Sampler | None,
    ) -> ScoredSet:
        p_actor = parts.actor.apply(params.actor, observation)
        p_behavior = parts.behavior.apply(params.behavior, observation)
        followed = None
        if parts.gradient:
            followed = parts.gradient.apply(params.gradient, observation)
        candidates = _propose(key, p_actor, p_behavior, followed, knobs, sampler)

        def evaluate(chunk: Array) -> tuple[Array, Array]:
            q_values = parts.values.apply(
                params.critic, observation, chunk, knobs.critic_dtype
            )
            return q_values, mixture.log_prob_of_set(p_behavior, chunk)

        def evaluated(candidates: Array) -> Candidates:
            worth = inference.map_chunks(evaluate, candidates, knobs.chunk_size)
            return Candidates(candidates, *worth)

        found = evaluated(candidates)
        if knobs.refine_steps:
            better = evaluated(_refine(found, evaluate, params.scales, t, knobs))
            found = Candidates(
                jnp.concatenate([found.actions, better.actions]),
                jnp.concatenate([found.q_values, better.q_values], axis=1),
                jnp.concatenate([found.log_prob, better.log_prob]),
            )
        scores = _score(found, params.scales, t, knobs)
        if knobs.anchor != "none":
            total = scores.total.at[0].add(knobs.anchor_margin)
            scores = scores._replace(total=total)
        return ScoredSet(found, scores, p_behavior)

    return score_set


def _propose(
    key: PRNGKey,
    actor: mixture.Mixture,
    behavior: mixture.Mixture,
    gradient: Array | None,
    knobs: inference.Knobs,
    sampler: inference.Sampler | None,
) -> Array:
    """The candidate set `[C, A]` that the static knobs ask for (Eq. 5-7)."""
    anchors = {
        "mode": lambda: mixture.mode_mean(actor),
        "mean": lambda: mixture.mean(actor),
        "behavior": lambda: mixture.mode_mean(behavior),
        "gradient": lambda: _required(gradient),
        "none": lambda: None,
    }
    anchor = anchors[knobs.anchor]()
    if sampler is not None:
        return inference.propose(key, sampler, knobs.num_candidates, anchor=anchor)
    return inference.propose(
        key,
        _source(actor, behavior, knobs),
        knobs.num_candidates,
        anchor=anchor,
        temperature=knobs.temperature,
        denoise_steps=knobs.denoise_steps,
    )


def _source(
    actor: mixture.Mixture, behavior: mixture.Mixture, knobs: inference.Knobs
) -> mixture.Mixture:
    """What all samples come from."""
    sources = {
        "actor": lambda: actor,
        "actor_mode": lambda: mixture.only_mode(actor),
        "behavior": lambda: behavior,
    }
    return sources[knobs.candidates]()


def _required(gradient: Array | None) -> Array:
    if gradient is None:
        raise errors.UserError(
            "anchor=gradient needs a policy trained by the critic's gradient; train "
            "with --config.gradient_cloning above 0"
        )
    return gradient


def _score(
    found: Candidates, scales: Scales, t: Array, knobs: inference.Knobs
) -> inference.ScoreOutput:
    """The scores of a set (Eq. 4), in the units that the knobs ask for."""
    _, value_unit = _unit_of_data(knobs.value_scale, scales.advantage)
    middle, support_unit = _unit_of_data(knobs.normalization, scales.support)
    return inference.score(
        found.q_values / value_unit,
        (found.log_prob - middle) / support_unit,
        kappa=knobs.effective_kappa,
        lam=_support_weight(t, knobs),
        # Units of the data are in the terms already.
        normalization="zscore" if knobs.normalization == "zscore" else "raw",
        value_scale="zscore" if knobs.value_scale == "zscore" else "reward",
        support_cap=knobs.support_cap,
    )


def _unit_of_data(option: str, data: moments.Moments) -> tuple[Array, Array]:
    """Mean and deviation of a score's term in the data; 0 and 1 for other options."""
    if option == "data":
        return moments.mean_and_std(data)
    return jnp.zeros((), jnp.float32), jnp.ones((), jnp.float32)


def _support_weight(t: Array, knobs: inference.Knobs) -> Array:
    start, end = knobs.lambda_ends
    return inference.lambda_schedule(t, start=start, end=end, horizon=knobs.horizon)


def _refine(
    found: Candidates,
    evaluate: Callable[[Array], tuple[Array, Array]],
    scales: Scales,
    t: Array,
    knobs: inference.Knobs,
) -> Array:
    """The best candidates, moved along the score in the units of their set."""
    scores = _score(found, scales, t, knobs)
    lam = _support_weight(t, knobs)
    _, value_unit = _unit(knobs.value_scale, scores.lcb, scales.advantage)
    support_middle, support_unit = _unit(
        knobs.normalization, found.log_prob, scales.support
    )

    def objective(action: Array) -> Array:
        q_values, log_prob = evaluate(action[None])
        lcb = value_ops.lower_confidence_bound(q_values, knobs.effective_kappa)
        support = (log_prob[0] - support_middle) / support_unit
        return lcb[0] / value_unit + lam * jnp.minimum(support, knobs.support_cap)

    return inference.refine(
        found.actions,
        scores.total,
        objective,
        num_refined=_REFINED,
        num_steps=knobs.refine_steps,
        step_size=knobs.refine_size,
    )


def _unit(option: str, values: Array, data: moments.Moments) -> tuple[Array, Array]:
    """Mean and deviation of a score's term: of the set, of the data, or 0 and 1."""
    if option != "zscore":
        return _unit_of_data(option, data)
    usable = jnp.isfinite(values)
    spread = jnp.std(values, where=usable)
    return jnp.mean(values, where=usable), jnp.maximum(spread, normalize.STD_FLOOR)
