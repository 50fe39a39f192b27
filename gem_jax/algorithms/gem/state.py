"""GEM's state, what acting reads of it, and the learners behind both."""

from __future__ import annotations

from typing import NamedTuple

import flax.struct
import optax

from gem_jax.algorithms.gem.config import Config
from gem_jax.learners import (
    expectile_value,
    gradient_policy,
    held_out,
    mixture_policy,
    moments,
    rates,
)
from gem_jax.train_state import TrainState
from gem_jax.types import EnvSpec, Params


class Scales(NamedTuple):
    """What numbers are large: the spread of two quantities over the data.

    Attributes:
      advantage: of the actions in the data, units of return.
      support: their log-density under the behavior, nats.
    """

    advantage: moments.Moments
    support: moments.Moments


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the actor mixture.
    behavior: the behavior mixture.
    values: critic ensemble, its target and the value.
    scales: of values and of support.
    best_behavior: with ``behavior_keep_best``.
    gradient: the policy of ``gradient_cloning``.
    """

    actor: TrainState
    behavior: TrainState
    values: expectile_value.ValueState
    scales: Scales
    best_behavior: held_out.Best | None = None
    gradient: TrainState | None = None


class ActorParams(NamedTuple):
    """What acting reads: no optimizer state, no value network."""

    actor: Params
    behavior: Params
    critic: Params
    scales: Scales
    gradient: Params | None = None


class Parts(NamedTuple):
    """The learners; ``gradient`` with ``gradient_cloning`` alone."""

    actor: mixture_policy.MixtureLearner
    behavior: mixture_policy.MixtureLearner
    values: expectile_value.ValueLearner
    gradient: gradient_policy.GradientLearner | None


def make_parts(config: Config, spec: EnvSpec, *, decays: bool = True) -> Parts:
    """Every learner with its own optimizer; actors' rates decay unless told else."""
    own_targets = config.critic_targets == "own"
    return Parts(
        actor=_make_actor(config, spec, decays),
        behavior=make_behavior(config, spec),
        values=expectile_value.make_value_learner(
            config, spec, own_targets=own_targets
        ),
        gradient=_make_gradient(config, spec, decays)
        if config.gradient_cloning
        else None,
    )


def _make_actor(
    config: Config, spec: EnvSpec, decays: bool
) -> mixture_policy.MixtureLearner:
    rate = rates.cosine(config.learning_rate, config.num_steps, decays=decays)
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


def make_behavior(config: Config, spec: EnvSpec) -> mixture_policy.MixtureLearner:
    """The behavior's mixture, whose rate decays to a tenth."""
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


def _make_gradient(
    config: Config, spec: EnvSpec, decays: bool
) -> gradient_policy.GradientLearner:
    rate = rates.cosine(config.learning_rate, config.num_steps, decays=decays)
    return gradient_policy.make_gradient_learner(
        spec,
        optax.adam(rate),
        hidden_sizes=config.hidden_sizes,
        cloning=config.gradient_cloning,
    )
