"""Guided Expectation-Maximization (GEM, arXiv 2603.23232).

Training: a behavior mixture by maximum likelihood, then an IQL critic ensemble together
with a mixture actor by advantage-weighted EM. Acting: an anchor and N samples, scored
by lower confidence bound plus standardized behavior support (``gem_jax.inference``).
"""

from __future__ import annotations

import dataclasses
import functools
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import inference
from gem_jax.algorithm import Algorithm, Phase, accept, prepare_nothing
from gem_jax.algorithms import _held_out, _metrics, _mixture, _observations, _value
from gem_jax.algorithms._gem_config import Config as Config
from gem_jax.ops import mixture, normalize
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition


@flax.struct.dataclass
class State:
    """Attributes:
    step: `[]` int32, over all phases.
    actor: the actor mixture.
    behavior: the behavior mixture.
    values: critic ensemble, its target and the value.
    normalizer: observation statistics.
    best_behavior: with ``behavior_keep_best``.
    """

    step: Array
    actor: TrainState
    behavior: TrainState
    values: _value.ValueState
    normalizer: normalize.Normalizer
    best_behavior: _held_out.Best | None = None


class ActorParams(NamedTuple):
    """What acting reads: no optimizer state, no value network."""

    normalizer: normalize.Normalizer
    actor: Params
    behavior: Params
    critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    actor, behavior = _make_actor(config, spec), _make_behavior(config, spec)
    values = _value.make_value_learner(
        spec,
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        layer_norm=config.critic_layer_norm,
        learning_rate=config.learning_rate,
        discount=config.discount,
        expectile=config.expectile,
        polyak=config.polyak,
    )

    def init(key: PRNGKey) -> State:
        value_key, actor_key, behavior_key = jax.random.split(key, 3)
        new_behavior = behavior.init(behavior_key)
        keep_best = config.behavior_keep_best
        return State(
            step=jnp.zeros((), jnp.int32),
            actor=actor.init(actor_key),
            behavior=new_behavior,
            values=values.init(value_key),
            normalizer=normalize.identity_normalizer(spec.observation_size),
            best_behavior=_held_out.nothing(new_behavior.params) if keep_best else None,
        )

    def fit_behavior(state: State, key: PRNGKey, batch: Transition):
        del key
        batch = _observations.normalized(state.normalizer, batch)
        new_behavior, rows = behavior.update(
            state.behavior, batch, _responsibility(batch) * _held_out.fitted_rows(batch)
        )
        new_state = dataclasses.replace(
            state, step=_observations.next_step(state.step), behavior=new_behavior
        )
        return new_state, _held_out.nll_means(rows["nll"], batch)

    def fit_policy(state: State, key: PRNGKey, batch: Transition):
        del key
        batch = _observations.normalized(state.normalizer, batch)
        new_values, advantage, value_rows = values.update(state.values, batch)
        tilt = config.beta, config.max_weight
        weight = value_ops.advantage_weight(advantage, *tilt)  # Eq. 41
        new_actor, rows = actor.update(
            state.actor, batch, weight * _responsibility(batch)
        )
        new_state = dataclasses.replace(
            state,
            step=_observations.next_step(state.step),
            actor=new_actor,
            values=new_values,
        )
        metric_rows = {
            **value_rows,
            **{f"actor/{name}": row for name, row in rows.items()},
        }
        return new_state, _metrics.regression_means(
            metric_rows, weight, value_ops.is_capped(advantage, *tilt)
        )

    def fit_both(state: State, key: PRNGKey, batch: Transition):
        step = state.step
        state, behavior_metrics = fit_behavior(state, key, batch)
        state, metrics = fit_policy(dataclasses.replace(state, step=step), key, batch)
        return state, {**metrics, **behavior_metrics}

    def actor_params(state: State) -> ActorParams:
        online = config.deploy_critic == "online"
        return ActorParams(
            normalizer=state.normalizer,
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
        observation = params.normalizer(observation)
        p_actor = actor.policy(params.actor, observation)
        p_behavior = behavior.policy(params.behavior, observation)
        candidates = _propose(key, p_actor, p_behavior, knobs)

        def evaluate(chunk: Array) -> tuple[Array, Array]:
            q_values = values.q_values(
                params.critic, observation, chunk, knobs.critic_dtype
            )
            return q_values, mixture.log_prob_of_set(p_behavior, chunk)

        q_values, support = inference.map_chunks(evaluate, candidates, knobs.chunk_size)
        return _select(candidates, q_values, support, p_behavior, t, knobs)

    every = config.behavior_held_out
    fit_normalizer = _observations.fit_on_entry(config.normalize_observations)
    pretraining = Phase(
        "behavior",
        config.behavior_steps,
        config.behavior_batch_size,
        fit_behavior,
        _held_out.mark_on_entry(fit_normalizer, every, spec),
    )
    training = Phase("policy", config.num_steps, config.batch_size, fit_policy)
    if not config.behavior_freeze:
        prepare = _held_out.mark_on_entry(prepare_nothing, every, spec)
        training = training._replace(update=fit_both, prepare=prepare)
    phases, check = (pretraining, training), accept
    if config.behavior_keep_best:
        count = spec.num_episodes
        phases = _held_out.keep_best(behavior, count, every, pretraining, training)
        check = functools.partial(_held_out.check, count=count, every=every)
    knobs = config.knobs(spec.horizon)
    return Algorithm(init, phases, actor_params, act, knobs, check)


def _responsibility(batch: Transition) -> Array:
    """How much each row counts for the mixtures, `[B]`: all alike by default.

    A cluster's posterior in ``extras["responsibility"]`` conditions actor and behavior
    on that cluster; critic and value learn from all rows.
    """
    return batch.extras.get("responsibility", jnp.ones_like(batch.reward))


def _make_actor(config: Config, spec: EnvSpec) -> _mixture.MixtureLearner:
    rate = optax.cosine_decay_schedule(config.learning_rate, config.num_steps)
    return _mixture.make_mixture_learner(
        spec,
        optax.adam(rate),
        hidden_sizes=config.hidden_sizes,
        num_components=config.num_components,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
        gating_entropy=config.gating_entropy,
        detach_responsibilities=config.detach_responsibilities,
    )


def _make_behavior(config: Config, spec: EnvSpec) -> _mixture.MixtureLearner:
    rate = optax.cosine_decay_schedule(
        config.behavior_learning_rate, config.behavior_steps, alpha=0.1
    )
    return _mixture.make_mixture_learner(
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
    lam = inference.lambda_schedule(
        t, start=knobs.lambda_start, end=knobs.lambda_end, horizon=knobs.horizon
    )
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
