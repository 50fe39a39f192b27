"""Implicit Q-learning (Kostrikov et al., 2022): GEM's reference.

Its Gaussian policy is a mixture of one component, so GEM with one component, two
critics, no samples and no gating entropy is this algorithm.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks
from gem_jax.algorithm import Algorithm, Online, Phase, act_by
from gem_jax.learners import (
    batch_metrics,
    expectile_value,
    exploration,
    mixture_policy,
    rates,
)
from gem_jax.ops import mixture
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Implicit Q-learning's settings; defaults are the reference's for locomotion.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam; the actor's decays to 0 along a cosine.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      expectile: tau of the value regression.
      beta: inverse temperature of the advantage weights.
      max_weight: their cap.
      polyak: rate of the target critics.
      log_std_min: lower bound of the policy's log-std.
      log_std_max: upper bound. Two bounds of 0 make the regression one of squared
        errors, the reference's deterministic policy.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = False
    discount: float = 0.99
    expectile: float = 0.7
    beta: float = 3.0
    max_weight: float = 100.0
    polyak: float = 0.005
    log_std_min: float = -20.0
    log_std_max: float = 2.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "max_weight")
        checks.fraction(self, "discount", "expectile", "polyak")
        checks.not_negative(self, "beta")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    num_critics=3,
)


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the Gaussian policy.
    values: critics and value.
    """

    actor: TrainState
    values: expectile_value.ValueState


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    actor, online_actor = (
        mixture_policy.make_mixture_learner(
            spec,
            optax.adam(
                rates.cosine(config.learning_rate, config.num_steps, decays=decays)
            ),
            hidden_sizes=config.hidden_sizes,
            num_components=1,
            log_std_min=config.log_std_min,
            log_std_max=config.log_std_max,
        )
        for decays in (True, False)
    )
    values = expectile_value.make_value_learner(config, spec)

    def init(key: PRNGKey) -> State:
        value_key, actor_key = jax.random.split(key)
        return State(
            actor=actor.init(actor_key),
            values=values.init(value_key),
        )

    def update(
        learner: mixture_policy.MixtureLearner,
        state: State,
        key: PRNGKey,
        batch: Transition,
        step: Array,
    ):
        del key, step
        new_values, advantage, value_rows = values.update(state.values, batch)
        tilt = config.beta, config.max_weight
        weight = value_ops.advantage_weight(advantage, *tilt)
        new_actor, rows = learner.update(state.actor, batch, weight)
        new_state = dataclasses.replace(
            state,
            actor=new_actor,
            values=new_values,
        )
        metric_rows = {
            **value_rows,
            "actor/loss": rows["loss"],
            "actor/nll": rows["nll"],
        }
        return new_state, batch_metrics.regression_means(
            metric_rows, weight, value_ops.is_capped(advantage, *tilt)
        )

    def mean_action(params: Params, observation: Array) -> Array:
        return jnp.clip(mixture.mean(actor.apply(params, observation)), -1.0, 1.0)

    # With bounds of 0 the standard deviation is 1 and means nothing.
    certain = config.log_std_min == config.log_std_max == 0.0
    explore = (
        exploration.noisy(mean_action) if certain else exploration.sampled(actor.apply)
    )
    sizes = config.num_steps, config.batch_size
    phase, online_phase = (
        Phase("policy", *sizes, functools.partial(update, learner))
        for learner in (actor, online_actor)
    )
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(mean_action),
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(explore, online_phase),
    )
