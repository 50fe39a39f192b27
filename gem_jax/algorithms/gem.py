"""Guided Expectation-Maximization (GEM, arXiv 2603.23232).

Training: a behavior mixture by maximum likelihood, then an IQL critic ensemble together
with a mixture actor by advantage-weighted EM. Acting: an anchor and N samples, scored
by lower confidence bound plus standardized behavior support (``gem_jax.inference``).
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import inference
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.algorithms import _config, _metrics, _mixture, _observations, _value
from gem_jax.inference import knobs as knob_rules
from gem_jax.inference import scoring
from gem_jax.ops import mixture, normalize
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """GEM's settings. The paper hides most values; the defaults are IQL's reference.

    Attributes:
      num_steps: gradient steps of critic, value and actor.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam for critic, value and actor; the actor's decays to 0 along
        a cosine.
      num_critics: E, ensemble size; its minimum trains, its LCB deploys.
      critic_layer_norm: standardize the critics' hidden layers. Not in the paper.
      deploy_critic: ``"online"`` or ``"target"`` parameters when acting.
      discount: of the return.
      expectile: tau_e (Eq. 65).
      beta: inverse temperature of the advantage weights (Eq. 41).
      max_weight: w_max, their cap (Eq. 41).
      polyak: tau_P, rate of the target ensemble (Eq. 62).
      num_components: K of the actor.
      log_std_min: lower bound of the actor's log-scales (Eq. 49).
      log_std_max: upper bound.
      gating_entropy: c_H (Eq. 44).
      detach_responsibilities: stop the gradient through gamma (Eq. 35).
      behavior_steps: gradient steps of the behavior mixture before all else (Eq. 54).
      behavior_batch_size: transitions a step of it.
      behavior_learning_rate: decays to a tenth along a cosine.
      behavior_freeze: leave the behavior alone afterwards; otherwise it takes one more
        step with each step of the actor.
      behavior_components: K of the behavior.
      behavior_log_std_min: lower bound of its log-scales; keeps spikes out.
      behavior_log_std_max: upper bound.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``inference.Knobs`` for this and what follows.
      top_m: M.
      candidates: source of the samples.
      anchor: the deterministic candidate.
      normalization: of support.
      value_scale: of the lower confidence bound. ``"reward"`` is the paper's.
      kappa: pessimism.
      lambda_start: support weight at the first step of an episode.
      lambda_end: support weight at the horizon.
      lambda_schedule: ``"decay"``, ``"rise"`` (from 0) or ``"constant"`` (at the end).
      horizon: H_T in steps; 0 takes the environment's time limit.
      support_cap: support above it earns no more. The paper has no cap.
      temperature: factor on the samples' standard deviations.
      violation_threshold: z of the violation audit.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 10
    critic_layer_norm: bool = False
    deploy_critic: str = "online"
    discount: float = 0.99
    expectile: float = 0.7
    beta: float = 3.0
    max_weight: float = 100.0
    polyak: float = 0.005
    num_components: int = 8
    log_std_min: float = -5.0
    log_std_max: float = 2.0
    gating_entropy: float = 1e-3
    detach_responsibilities: bool = True
    behavior_steps: int = 100_000
    behavior_batch_size: int = 512
    behavior_learning_rate: float = 1e-3
    behavior_freeze: bool = True
    behavior_components: int = 8
    behavior_log_std_min: float = -5.0
    behavior_log_std_max: float = 0.5
    normalize_observations: bool = True
    num_candidates: int = 1024
    top_m: int = 1
    candidates: str = "actor"
    anchor: str = "mode"
    normalization: str = "zscore"
    value_scale: str = "reward"
    kappa: float = 1.0
    lambda_start: float = 1.0
    lambda_end: float = 0.1
    lambda_schedule: str = "decay"
    horizon: int = 0
    support_cap: float = scoring.NO_CAP
    temperature: float = 1.0
    violation_threshold: float = -2.0

    def __post_init__(self) -> None:
        _config.widths(self, "hidden_sizes")
        _config.ordered(self, "log_std_min", "log_std_max")
        _config.ordered(self, "behavior_log_std_min", "behavior_log_std_max")
        _config.positive(self, "num_steps", "batch_size", "learning_rate")
        _config.positive(self, "behavior_steps", "behavior_batch_size")
        _config.positive(self, "behavior_learning_rate", "num_components")
        _config.positive(self, "behavior_components", "num_critics", "max_weight")
        _config.fraction(self, "discount", "expectile", "polyak")
        _config.not_negative(self, "beta", "gating_entropy", "horizon")
        if self.deploy_critic not in ("online", "target"):
            raise ValueError(
                f"deploy_critic must be online or target, got {self.deploy_critic!r}"
            )
        self.knobs(horizon=1).validate()

    def knobs(self, horizon: int) -> inference.Knobs:
        """The knobs of acting; ``horizon`` is the environment's, used when unset."""
        shared = {
            field.name: getattr(self, field.name)
            for field in dataclasses.fields(inference.Knobs)
            if field.name not in knob_rules.MACHINE
        }
        start, end = knob_rules.schedule_ends(
            self.lambda_schedule, self.lambda_start, self.lambda_end
        )
        shared |= {"lambda_start": start, "lambda_end": end}
        return inference.Knobs(**shared | {"horizon": float(self.horizon or horizon)})


@flax.struct.dataclass
class State:
    """Attributes:
    step: `[]` int32, over all phases.
    actor: the actor mixture.
    behavior: the behavior mixture.
    values: critic ensemble, its target and the value.
    normalizer: observation statistics.
    """

    step: Array
    actor: TrainState
    behavior: TrainState
    values: _value.ValueState
    normalizer: normalize.Normalizer


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
        return State(
            step=jnp.zeros((), jnp.int32),
            actor=actor.init(actor_key),
            behavior=behavior.init(behavior_key),
            values=values.init(value_key),
            normalizer=normalize.identity_normalizer(spec.observation_size),
        )

    def fit_behavior(state: State, key: PRNGKey, batch: Transition):
        del key
        batch = _observations.normalized(state.normalizer, batch)
        new_behavior, rows = behavior.update(
            state.behavior, batch, _responsibility(batch)
        )
        new_state = dataclasses.replace(
            state, step=_observations.next_step(state.step), behavior=new_behavior
        )
        return new_state, {"behavior/nll": jnp.mean(rows["nll"])}

    def fit_policy(state: State, key: PRNGKey, batch: Transition):
        del key
        batch = _observations.normalized(state.normalizer, batch)
        new_values, advantage, value_rows = values.update(state.values, batch)
        weight = value_ops.advantage_weight(  # Eq. 41
            advantage, config.beta, config.max_weight
        )
        new_actor, rows = actor.update(
            state.actor, batch, weight * _responsibility(batch)
        )
        new_state = dataclasses.replace(
            state,
            step=_observations.next_step(state.step),
            actor=new_actor,
            values=new_values,
        )
        return new_state, _metrics.means(
            {
                **value_rows,
                **{f"actor/{name}": row for name, row in rows.items()},
                "actor/weight": weight,
            }
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

    pretraining = Phase(
        "behavior",
        config.behavior_steps,
        config.behavior_batch_size,
        fit_behavior,
        _observations.fit_on_entry(config.normalize_observations),
    )
    training = Phase(
        "policy",
        config.num_steps,
        config.batch_size,
        fit_policy if config.behavior_freeze else fit_both,
    )
    return Algorithm(
        init, (pretraining, training), actor_params, act, config.knobs(spec.horizon)
    )


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
    audit = inference.audit(
        selection,
        normalize.standardize(support),  # z, whatever the score used
        behavior.means,
        violation_threshold=knobs.violation_threshold,
    )
    return ActOutput(selection.action, audit)
