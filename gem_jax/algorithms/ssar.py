"""SSAR, selective state-adaptive regularization (Luo et al., 2025), on TD3+BC.

A network gives each state its weight of cloning, which grows where the actor strays
from trusted actions and falls where it stays close. Trusted are the better
trajectories, or what values by implicit Q-learning, trained before, find no worse than
what the data do there on the whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

from gem_jax import checks
from gem_jax.algorithm import Algorithm, Phase, PrepareFn, UpdateFn
from gem_jax.algorithms import _td3, iql
from gem_jax.learners import (
    adaptive_weight,
    batch_metrics,
    expectile_value,
    trust,
)
from gem_jax.ops import value as value_ops
from gem_jax.types import Array, EnvSpec, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """SSAR's settings; defaults are the reference's for halfcheetah-medium.

    Attributes:
      num_steps: gradient steps of the critics, after those of the pretraining.
      batch_size: transitions a step.
      hidden_sizes: widths of actor, critics and pretrained values.
      learning_rate: of Adam, for these.
      num_critics: ensemble size, reduced by its minimum in targets.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      polyak: rate of the targets.
      policy_noise: standard deviation of the noise on target actions.
      noise_clip: bound of that noise.
      actor_period: critic steps for each step of all else.
      beta_init: weight of cloning that all states begin with; 1.5 times it is the most.
      beta_hidden_sizes: widths of its network.
      beta_learning_rate: of that network's Adam.
      beta_max_grad_norm: its gradient is scaled down to this norm.
      sigma: unit of deviations from the data's actions, in each dimension.
      n_start: how many sigma are allowed at first.
      n_end: at last, if trusted actions are not met before.
      n_period: steps between two tenths of the way from one to the other.
      trust: which transitions the weight is trained on: ``"return"``, of trajectories
        above ``return_threshold``; ``"goal"``, of those that end with more than the
        lowest reward; ``"value"``, those with Q >= V by pretrained values; or
        ``"all"``.
      return_threshold: in rewards as training sees them.
      clone_untrusted: whether the actor stays near the other transitions too.
      value_steps: gradient steps of the pretraining, under ``trust="value"``.
      value_expectile: tau of it.
      value_layer_norm: standardize the hidden layers of its critics.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = True
    discount: float = 0.99
    polyak: float = 0.005
    policy_noise: float = 0.2
    noise_clip: float = 0.5
    actor_period: int = 2
    beta_init: float = 0.4
    beta_hidden_sizes: tuple[int, ...] = (512, 512, 512)
    beta_learning_rate: float = 3e-8
    beta_max_grad_norm: float = 0.5
    sigma: float = 0.1
    n_start: float = 1.0
    n_end: float = 3.0
    n_period: int = 50_000
    trust: str = "return"
    return_threshold: float = 5200.0
    clone_untrusted: bool = False
    value_steps: int = 1_000_000
    value_expectile: float = 0.7
    value_layer_norm: bool = False
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes", "beta_hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "actor_period", "value_steps", "n_period")
        checks.positive(self, "beta_init", "beta_learning_rate", "beta_max_grad_norm")
        checks.positive(self, "sigma", "n_start")
        checks.ordered(self, "n_start", "n_end")
        checks.fraction(self, "discount", "polyak", "value_expectile")
        checks.not_negative(self, "policy_noise", "noise_clip")
        checks.finite(self, "return_threshold")
        checks.one_of(self, "trust", (*trust.BY_DATA, trust.BY_VALUE))


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    hidden_sizes=(16,),
    beta_hidden_sizes=(16,),
    batch_size=8,
    num_steps=6,
    value_steps=4,
    trust="value",
)
_COEFFICIENT = "coefficient"  # the extra: weight of cloning in the actor's loss
_ROWS = 4096  # whose values are computed at once


@flax.struct.dataclass
class State(_td3.State):
    """Attributes:
    beta: the weight of cloning.
    values: an ``expectile_value.ValueState``, or ``None`` where the data decide what is
      trusted.
    """

    beta: adaptive_weight.WeightState
    values: Any


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Locomotion's rewards as recorded, as in the reference."""
    del config
    return {"reward_transform": "identity"} if task.suite == "locomotion" else {}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""

    def actor_loss(action: Array, q: Array, batch: Transition):
        """beta(s) |pi(s) - a|^2 / A - Q_0(s, pi(s)) / mean |Q_0|, its mean."""
        distance = jnp.mean((action - batch.action) ** 2, axis=-1)
        cloning = batch.extras[_COEFFICIENT] * distance
        loss = jnp.mean(cloning) - jnp.mean(value_ops.scaled(q[0]))
        return loss, {"actor/loss": loss}

    rate = config.learning_rate
    td3 = _td3.make(
        config,
        spec,
        actor_loss,
        actor_rate=rate,
        critic_rate=rate,
        layer_norm=config.critic_layer_norm,
    )
    [of_td3] = td3.phases
    policy, beta = _td3.make_policy(config, spec), adaptive_weight.make(config, spec)
    values, by_value = _make_values(config, spec), config.trust == trust.BY_VALUE

    def init(key: PRNGKey) -> State:
        td3_key, beta_key, values_key = jax.random.split(key, 3)
        return State(
            **vars(td3.init(td3_key)),
            beta=beta.init(beta_key),
            values=values.init(values_key) if by_value else None,
        )

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        trusted = batch.extras[trust.TRUST]
        weight = beta.apply(state.beta.net.params, batch.observation)
        weight = weight if config.clone_untrusted else weight * trusted
        weighted = batch._replace(extras={**batch.extras, _COEFFICIENT: weight})
        new_state, metrics = of_td3.update(state, key, weighted, step)
        # Deviations are those of the actor before its step.
        action = policy.apply(state.actor.params, batch.observation)
        squares = (action - batch.action) ** 2
        moved, of_beta = beta.update(
            state.beta, batch.observation, squares, trusted, step
        )
        new_beta = _td3.when(_td3.is_due(config, step), moved, state.beta)
        new_state = dataclasses.replace(new_state, beta=new_beta)
        return new_state, {**metrics, **of_beta}

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        if not by_value:
            trust.require(config.trust, config.return_threshold, dataset, log)
            return
        log(
            f"trusted, by --config.trust=value: what {config.value_steps:,} steps of "
            "IQL give Q >= V"
        )

    prepare = _trust_by_value(values) if by_value else _trust_by_data(config)
    pretraining = Phase(
        "values", config.value_steps, config.batch_size, _make_pretrain(values)
    )
    main = of_td3._replace(update=update, prepare=prepare)
    phases = (pretraining, main) if by_value else (main,)
    # Whether a new transition can be trusted is not known.
    return td3._replace(init=init, phases=phases, check=check, online=None)


def _make_values(config: Config, spec: EnvSpec) -> expectile_value.ValueLearner:
    """Two critics and V, by the settings of IQL."""
    settings = iql.Config(
        hidden_sizes=config.hidden_sizes,
        learning_rate=config.learning_rate,
        critic_layer_norm=config.value_layer_norm,
        discount=config.discount,
        expectile=config.value_expectile,
        polyak=config.polyak,
    )
    return expectile_value.make_value_learner(settings, spec)


def _make_pretrain(values: expectile_value.ValueLearner) -> UpdateFn:
    def pretrain(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        new_values, _, metrics = values.update(state.values, batch)
        new_state = dataclasses.replace(state, values=new_values)
        return new_state, batch_metrics.means(metrics)

    return pretrain


def _trust_by_value(values: expectile_value.ValueLearner) -> PrepareFn:
    """Marks transitions with min Q(s, a) >= V(s), or all where no one has that.

    Values that have barely begun to fall may leave none, and an actor that clones
    nothing would leave the data; ``beta/trusted_share`` tells.
    """

    def prepare(state: State, key: PRNGKey, dataset: Transition):
        del key
        q_params, v_params = state.values.critic.params, state.values.value.params

        def is_good(pair: tuple[Array, Array]) -> Array:
            lowest = values.lowest(q_params, *pair)
            return lowest >= values.apply_value(v_params, pair[0])

        pairs = dataset.observation, dataset.action
        good = jax.lax.map(is_good, pairs, batch_size=_ROWS)
        trusted = good | ~jnp.any(good)
        return state, {trust.TRUST: trusted.astype(jnp.float32)}

    return prepare


def _trust_by_data(config: Config) -> PrepareFn:
    def prepare(state: State, key: PRNGKey, dataset: Transition):
        del key
        found = trust.by_data(config.trust, config.return_threshold, dataset)
        return state, {trust.TRUST: found}

    return prepare
