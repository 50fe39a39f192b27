"""How GEM acts: propose, score, select (Eq. 1 to 15)."""

from __future__ import annotations

from typing import Protocol

from gem_jax import errors, inference
from gem_jax.algorithm import ActFn, ProposeFn
from gem_jax.algorithms.gem.state import ActorParams, Parts, Scales
from gem_jax.learners import moments
from gem_jax.ops import mixture, normalize
from gem_jax.types import ActOutput, Array, PRNGKey


class DecideFn(Protocol):
    """``act`` with samples from elsewhere, or, without a sampler, GEM's own."""

    def __call__(
        self,
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
        sampler: inference.Sampler | None,
    ) -> ActOutput: ...


def make_act(parts: Parts) -> ActFn:
    """The anchor and N samples, the best of which is executed."""
    decide = make_decide(parts)

    def act(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
    ) -> ActOutput:
        return decide(params, key, observation, t, knobs, None)

    return act


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


def make_decide(parts: Parts) -> DecideFn:
    """How GEM chooses, whoever proposes."""

    def decide(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
        sampler: inference.Sampler | None,
    ) -> ActOutput:
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

        q_values, support = inference.map_chunks(evaluate, candidates, knobs.chunk_size)
        return _select(
            candidates, q_values, support, p_behavior, params.scales, t, knobs
        )

    return decide


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


def _select(
    candidates: Array,
    q_values: Array,
    support: Array,
    behavior: mixture.Mixture,
    scales: Scales,
    t: Array,
    knobs: inference.Knobs,
) -> ActOutput:
    """Scores, selects and audits one candidate set (Eq. 4, 15)."""
    start, end = knobs.lambda_ends
    lam = inference.lambda_schedule(t, start=start, end=end, horizon=knobs.horizon)
    values, value_scale = q_values, knobs.value_scale
    if value_scale == "data":
        values = q_values / moments.mean_and_std(scales.advantage)[1]
        value_scale = "reward"
    judged, normalization = support, knobs.normalization
    if normalization == "data":
        mean, std = moments.mean_and_std(scales.support)
        judged, normalization = (support - mean) / std, "raw"
    scores = inference.score(
        values,
        judged,
        kappa=knobs.effective_kappa,
        lam=lam,
        normalization=normalization,
        value_scale=value_scale,
        support_cap=knobs.support_cap,
    )
    total = scores.total
    if knobs.anchor != "none":
        total = total.at[0].add(knobs.anchor_margin)
    selection = inference.select(candidates, total, top_m=knobs.top_m)
    support_z = scores.support
    if knobs.normalization != "zscore":
        support_z = normalize.standardize(support)
    audit = inference.audit(
        selection,
        support_z,
        behavior.means,
        violation_threshold=knobs.violation_threshold,
    )
    return ActOutput(selection.action, audit)
