"""Guided Expectation-Maximization (GEM, arXiv 2603.23232).

Training: a behavior mixture by maximum likelihood, then an IQL critic ensemble together
with a mixture actor by advantage-weighted EM. Acting: an anchor and N samples, scored
by lower confidence bound plus standardized behavior support (``gem_jax.inference``).
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import inference
from gem_jax.algorithm import Algorithm, Phase, accept
from gem_jax.algorithms.gem.config import Config as Config
from gem_jax.learners import batch_metrics, expectile_value, held_out, mixture_policy
from gem_jax.ops import mixture, normalize
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

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
    hidden_sizes=(16, 16),
    behavior_steps=4,
    behavior_batch_size=8,
    num_candidates=5,
    behavior_held_out=2,
    num_critics=3,
    num_components=2,
    behavior_components=2,
)


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the actor mixture.
    behavior: the behavior mixture.
    values: critic ensemble, its target and the value.
    best_behavior: with ``behavior_keep_best``.
    """

    actor: TrainState
    behavior: TrainState
    values: expectile_value.ValueState
    best_behavior: held_out.Best | None = None


class ActorParams(NamedTuple):
    """What acting reads: no optimizer state, no value network."""

    actor: Params
    behavior: Params
    critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    actor, behavior = _make_actor(config, spec), _make_behavior(config, spec)
    values = expectile_value.make_value_learner(
        config, spec, own_targets=config.critic_targets == "own"
    )

    def init(key: PRNGKey) -> State:
        value_key, actor_key, behavior_key = jax.random.split(key, 3)
        new_behavior = behavior.init(behavior_key)
        keep_best = config.behavior_keep_best
        return State(
            actor=actor.init(actor_key),
            behavior=new_behavior,
            values=values.init(value_key),
            best_behavior=held_out.nothing(new_behavior.params) if keep_best else None,
        )

    def fit_behavior(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        new_behavior, rows = behavior.update(
            state.behavior, batch, _responsibility(batch) * held_out.fitted_rows(batch)
        )
        new_state = dataclasses.replace(state, behavior=new_behavior)
        return new_state, held_out.nll_means(rows["nll"], batch)

    def fit_policy(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        new_values, advantage, value_rows = values.update(state.values, batch)
        tilt = config.beta, config.max_weight
        weight = value_ops.advantage_weight(advantage, *tilt)  # Eq. 41
        new_actor, rows = actor.update(
            state.actor, batch, weight * _responsibility(batch)
        )
        new_state = dataclasses.replace(state, actor=new_actor, values=new_values)
        metric_rows = {
            **value_rows,
            **{f"actor/{name}": row for name, row in rows.items()},
        }
        return new_state, batch_metrics.regression_means(
            metric_rows, weight, value_ops.is_capped(advantage, *tilt)
        )

    def fit_both(state: State, key: PRNGKey, batch: Transition, step: Array):
        state, behavior_metrics = fit_behavior(state, key, batch, step)
        state, metrics = fit_policy(state, key, batch, step)
        return state, {**metrics, **behavior_metrics}

    def actor_params(state: State) -> ActorParams:
        online = config.deploy_critic == "online"
        return ActorParams(
            actor=state.actor.params,
            behavior=state.behavior.params,
            critic=state.values.critic.params if online else state.values.target_critic,
        )

    def act(
        params: ActorParams,
        key: PRNGKey,
        observation: Array,
        t: Array,
        knobs: inference.Knobs,
    ) -> ActOutput:
        p_actor = actor.apply(params.actor, observation)
        p_behavior = behavior.apply(params.behavior, observation)
        candidates = _propose(key, p_actor, p_behavior, knobs)

        def evaluate(chunk: Array) -> tuple[Array, Array]:
            q_values = values.apply(
                params.critic, observation, chunk, knobs.critic_dtype
            )
            return q_values, mixture.log_prob_of_set(p_behavior, chunk)

        q_values, support = inference.map_chunks(evaluate, candidates, knobs.chunk_size)
        return _select(candidates, q_values, support, p_behavior, t, knobs)

    every = config.behavior_held_out
    pretraining = Phase(
        "behavior",
        config.behavior_steps,
        config.behavior_batch_size,
        fit_behavior,
        held_out.mark_on_entry(every, spec),
    )
    training = Phase("policy", config.num_steps, config.batch_size, fit_policy)
    if not config.behavior_freeze:
        prepare = held_out.mark_on_entry(every, spec)
        training = training._replace(update=fit_both, prepare=prepare)
    phases, check = (pretraining, training), accept
    if config.behavior_keep_best:
        count = spec.num_episodes
        phases = held_out.keep_best(behavior, count, every, pretraining, training)
        check = functools.partial(held_out.check, count=count, every=every)
    return Algorithm(
        spec,
        init,
        phases,
        actor_params,
        act,
        config.knobs(spec.horizon),
        check,
        config.normalize_observations,
        n_step_discount=config.discount,
    )


def _responsibility(batch: Transition) -> Array:
    """How much each row counts for the mixtures, `[B]`: all alike by default.

    A cluster's posterior in ``extras["responsibility"]`` conditions actor and behavior
    on that cluster; critic and value learn from all rows.
    """
    return batch.extras.get("responsibility", jnp.ones_like(batch.reward))


def _make_actor(config: Config, spec: EnvSpec) -> mixture_policy.MixtureLearner:
    rate = optax.cosine_decay_schedule(config.learning_rate, config.num_steps)
    return mixture_policy.make_mixture_learner(
        spec,
        optax.adam(rate),
        hidden_sizes=config.hidden_sizes,
        num_components=config.num_components,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
        gating_entropy=config.gating_entropy,
        detach_responsibilities=config.detach_responsibilities,
    )


def _make_behavior(config: Config, spec: EnvSpec) -> mixture_policy.MixtureLearner:
    rate = optax.cosine_decay_schedule(
        config.behavior_learning_rate, config.behavior_steps, alpha=0.1
    )
    return mixture_policy.make_mixture_learner(
        spec,
        optax.adam(rate),
        hidden_sizes=config.hidden_sizes,
        num_components=config.behavior_components,
        log_std_min=config.behavior_log_std_min,
        log_std_max=config.behavior_log_std_max,
    )


def _propose(
    key: PRNGKey,
    actor: mixture.Mixture,
    behavior: mixture.Mixture,
    knobs: inference.Knobs,
) -> Array:
    """The candidate set `[C, A]` that the static knobs ask for (Eq. 5-7)."""
    sources = {
        "actor": lambda: actor,
        "actor_mode": lambda: mixture.only_mode(actor),
        "behavior": lambda: behavior,
    }
    anchors = {
        "mode": lambda: mixture.mode_mean(actor),
        "mean": lambda: mixture.mean(actor),
        "behavior": lambda: mixture.mode_mean(behavior),
        "none": lambda: None,
    }
    return inference.propose(
        key,
        sources[knobs.candidates](),
        knobs.num_candidates,
        anchor=anchors[knobs.anchor](),
        temperature=knobs.temperature,
        denoise_steps=knobs.denoise_steps,
    )


def _select(
    candidates: Array,
    q_values: Array,
    support: Array,
    behavior: mixture.Mixture,
    t: Array,
    knobs: inference.Knobs,
) -> ActOutput:
    """Scores, selects and audits one candidate set (Eq. 4, 15)."""
    start, end = knobs.lambda_ends
    lam = inference.lambda_schedule(t, start=start, end=end, horizon=knobs.horizon)
    scores = inference.score(
        q_values,
        support,
        kappa=knobs.kappa,
        lam=lam,
        normalization=knobs.normalization,
        value_scale=knobs.value_scale,
        support_cap=knobs.support_cap,
    )
    selection = inference.select(candidates, scores.total, top_m=knobs.top_m)
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
