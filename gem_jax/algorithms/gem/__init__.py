"""Guided Expectation-Maximization (GEM, arXiv 2603.23232).

Training: a behavior mixture by maximum likelihood, then an IQL critic ensemble together
with a mixture actor by advantage-weighted EM. Acting: an anchor and N samples, scored
by lower confidence bound plus standardized behavior support (``gem_jax.inference``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

import jax

from gem_jax import inference
from gem_jax.algorithm import Algorithm, Joint, Online, Phase, Proposer, accept
from gem_jax.algorithms.gem.acting import make_act, make_judge, select
from gem_jax.algorithms.gem.config import Config as Config
from gem_jax.algorithms.gem.judging import make_propose, make_score_set
from gem_jax.algorithms.gem.state import ActorParams as ActorParams
from gem_jax.algorithms.gem.state import Parts, State, make_parts
from gem_jax.algorithms.gem.state import Scales as Scales
from gem_jax.algorithms.gem.updates import (
    make_fit_behavior,
    make_fit_both,
    make_fit_policy,
)
from gem_jax.learners import exploration, held_out, moments
from gem_jax.types import ActOutput, Array, EnvSpec, PRNGKey

# The paper's ablations of acting, as changes of knobs.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "no_pw": {"lambda_start": 0.0, "lambda_end": 0.0},
    "no_lcb": {"kappa": 0.0},
    "no_anchor": {"anchor": "none"},
    "anchor_bary": {"anchor": "mean"},
    "behavior_only_cands": {"candidates": "behavior"},
    "unimodal_actor_cands": {"candidates": "actor_mode"},
    "raw": {"normalization": "raw"},
}
# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    behavior_steps=4,
    behavior_batch_size=8,
    num_candidates=5,
    behavior_held_out=2,
    num_critics=3,
    num_components=2,
    behavior_components=2,
)


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    parts = make_parts(config, spec)
    phases, check = _make_phases(config, spec, parts)

    def init(key: PRNGKey) -> State:
        value_key, actor_key, behavior_key = jax.random.split(key, 3)
        new_behavior = parts.behavior.init(behavior_key)
        best = held_out.nothing(new_behavior.params)
        state = State(
            actor=parts.actor.init(actor_key),
            behavior=new_behavior,
            values=parts.values.init(value_key),
            scales=Scales(advantage=moments.nothing(), support=moments.nothing()),
            best_behavior=best if config.behavior_keep_best else None,
        )
        if parts.gradient:
            gradient_key = jax.random.fold_in(key, 3)  # 0 to 2 are those of the split
            gradient = parts.gradient.init(gradient_key)
            state = dataclasses.replace(state, gradient=gradient)
        return state

    def actor_params(state: State) -> ActorParams:
        online = config.deploy_critic == "online"
        return ActorParams(
            actor=state.actor.params,
            behavior=state.behavior.params,
            critic=state.values.critic.params if online else state.values.target_critic,
            scales=state.scales,
            gradient=state.gradient.params if state.gradient else None,
        )

    # The behavior stays that of the recorded data.
    fit_online = make_fit_policy(config, make_parts(config, spec, decays=False))
    online_phase = Phase("policy", config.num_steps, config.batch_size, fit_online)

    def explore(params: ActorParams, key: PRNGKey, observation: Array) -> Array:
        return exploration.sampled(parts.actor.apply)(params.actor, key, observation)

    return Algorithm(
        spec,
        init,
        phases,
        actor_params,
        make_act(parts),
        config.knobs(spec.horizon),
        check,
        config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(explore, online_phase),
        propose=make_propose(parts),
        judge=make_judge(parts),
    )


def with_proposer(config: Config, spec: EnvSpec, proposer: Proposer) -> Algorithm:
    """GEM whose candidates come from elsewhere; for acting, by ``Joint`` parameters.

    Anchor, critics and behavior stay GEM's. The knobs that shape the samples of its own
    mixtures, ``candidates``, ``temperature`` and ``denoise_steps``, have no effect.
    """
    score_set = make_score_set(make_parts(config, spec))

    def act(
        params: Joint,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
    ) -> ActOutput:
        def sampler(sampler_key: PRNGKey, n: int) -> Array:
            return proposer(params.proposer, sampler_key, observation, t, n)

        own = params.scorer
        seen = own.normalizer(observation)
        return select(score_set(own.params, key, seen, t, knobs, sampler), knobs)

    return make(config, spec)._replace(act=act, propose=None, judge=None)


def _make_phases(
    config: Config, spec: EnvSpec, parts: Parts
) -> tuple[tuple[Phase, Phase], Callable[..., None]]:
    """The behavior, then the rest; and what they ask of the data."""
    every, count = config.behavior_held_out, spec.num_episodes
    mark = held_out.mark_on_entry(every, spec)
    pretraining = Phase(
        "behavior",
        config.behavior_steps,
        config.behavior_batch_size,
        make_fit_behavior(parts),
        mark,
    )
    fit_policy = make_fit_policy(config, parts)
    training = Phase("policy", config.num_steps, config.batch_size, fit_policy)
    if not config.behavior_freeze:
        fit_both = make_fit_both(config, parts)
        training = training._replace(update=fit_both, prepare=mark)
    if not config.behavior_keep_best:
        return (pretraining, training), accept
    check = functools.partial(held_out.check, count=count, every=every)
    return held_out.keep_best(
        parts.behavior, count, every, pretraining, training, _rescaled
    ), check


def _rescaled(state: State, log_prob: Array) -> State:
    """With the support's scale that a behavior has, by its log-densities `[rows]`."""
    scales = state.scales._replace(support=moments.of(log_prob))
    return dataclasses.replace(state, scales=scales)
