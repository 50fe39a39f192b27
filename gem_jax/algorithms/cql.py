"""CQL (Kumar et al., 2020): soft actor-critic whose critics are low off the data."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, train_state
from gem_jax.algorithm import Algorithm, Online, Phase, act_by
from gem_jax.learners import batch_metrics, entropy_policy, q_ensemble
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

_NUM_CRITICS = 2
_MOST_MULTIPLIER = 1e6
_FIRST_LOG_MULTIPLIER = 1.0


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """CQL's settings; defaults are the reference's for locomotion.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of the policy.
      critic_hidden_sizes: widths of the critics.
      critic_layer_norm: standardize their hidden layers.
      learning_rate: of the policy's and the temperature's Adam.
      critic_learning_rate: of the critics' and the multiplier's.
      discount: of the return.
      polyak: rate of the target critics.
      cql_alpha: weight of the conservative term.
      num_actions: M, from each of three sources: uniform, the policy here, and the
        policy at the next state.
      max_backup: targets take the best of M actions.
      lagrange: a multiplier of the conservative term keeps it at ``action_gap``.
      action_gap: the size it is kept at, units of return.
      least_gap: from where down the term is not lowered any more.
      log_std_min: lower bound of the policy's log-std before the tanh.
      log_std_max: upper bound.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    critic_hidden_sizes: tuple[int, ...] = (256, 256, 256)
    critic_layer_norm: bool = False
    learning_rate: float = 3e-5
    critic_learning_rate: float = 3e-4
    discount: float = 0.99
    polyak: float = 0.005
    cql_alpha: float = 10.0
    num_actions: int = 10
    max_backup: bool = False
    lagrange: bool = False
    action_gap: float = 1.0
    least_gap: float = -1e9
    log_std_min: float = -20.0
    log_std_max: float = 2.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes", "critic_hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "critic_learning_rate", "num_actions")
        checks.fraction(self, "discount", "polyak")
        checks.not_negative(self, "cql_alpha")
        checks.finite(self, "action_gap", "least_gap")

    @property
    def floats_per_row(self) -> int:
        """What a row leaves in both critics: its own action and 3 M others."""
        layers = 2 * sum(self.critic_hidden_sizes)
        return _NUM_CRITICS * (1 + 3 * self.num_actions) * layers


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    critic_hidden_sizes=(16,),
    num_actions=3,
    lagrange=True,
)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """The reference's: 10 r - 5 on AntMaze, the range of returns on hopper-medium."""
    del config
    if task.suite == "antmaze":
        return {"reward_transform": (10.0, -5.0)}
    ranged = task.name == "hopper-medium-v2"
    return {"reward_transform": "return_range" if ranged else "identity"}


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the squashed Gaussian policy.
    temperature: log alpha.
    values: two critics and their slow copies.
    multiplier: logarithm of the conservative term's, with ``lagrange``.
    """

    actor: TrainState
    temperature: TrainState
    values: q_ensemble.QState
    multiplier: TrainState | None = None


class Others(NamedTuple):
    """Actions that the data have not, several for each state.

    Attributes:
      action: `[3 M, B, A]`.
      log_density: `[3 M, B]` of what they were drawn from.
    """

    action: Array
    log_density: Array


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    policy = entropy_policy.make_entropy_learner(
        spec,
        optax.adam(config.learning_rate),
        optax.adam(config.learning_rate),
        hidden_sizes=config.hidden_sizes,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
    )
    optimizer = optax.adam(config.critic_learning_rate)
    critics = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=config.critic_hidden_sizes,
        num_critics=_NUM_CRITICS,
        discount=config.discount,
        layer_norm=config.critic_layer_norm,
    )

    def init(key: PRNGKey) -> State:
        actor_key, value_key = jax.random.split(key)
        actor, temperature = policy.init(actor_key)
        multiplier = None
        if config.lagrange:
            start = jnp.full((), _FIRST_LOG_MULTIPLIER, jnp.float32)
            multiplier = train_state.create(start, optimizer)
        return State(actor, temperature, critics.init(value_key), multiplier)

    def next_value(state: State, key: PRNGKey, batch: Transition) -> Array:
        """min Q of the policy's action, or the best of M; no entropy, `[B]`."""
        count = config.num_actions if config.max_backup else 1
        following, _ = _samples(
            policy, state.actor.params, key, batch.next_observation, count
        )
        target = state.values.target_critic
        q = jax.vmap(lambda a: critics.lowest(target, batch.next_observation, a))(
            following
        )
        return jnp.max(q, axis=0)

    def gap(params: Params, batch: Transition, far: Others) -> Array:
        return _gap(critics.apply, params, batch, far, config.least_gap)

    def factor(state: State) -> Array:
        if state.multiplier is None:
            return jnp.ones(())
        return jnp.minimum(jnp.exp(state.multiplier.params), _MOST_MULTIPLIER)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array) -> Any:
        """All by the parameters before the step, as in the reference."""
        del step
        actor_key, next_key, others_key = jax.random.split(key, 3)
        q_params, params = state.values.critic.params, state.actor.params
        alpha = jnp.exp(state.temperature.params)
        # The same key: one draw serves temperature and policy.
        temperature = policy.tune(
            state.temperature, params, actor_key, batch.observation
        )
        actor, of_actor = policy.update(
            *(state.actor, alpha, actor_key, batch.observation),
            lambda a: critics.lowest(q_params, batch.observation, a),
        )
        far = _others(policy, params, others_key, batch, config.num_actions)
        weight = config.cql_alpha * factor(state)
        values, of_critic = critics.update(
            state.values,
            batch,
            critics.target(batch, next_value(state, next_key, batch)),
            config.polyak,
            penalty=lambda p: weight * jnp.mean(gap(p, batch, far)),
        )
        found = gap(q_params, batch, far)
        named = {f"actor/{name}": rows for name, rows in of_actor.items()}
        means = {
            **batch_metrics.means({**of_critic, **named}),
            "critic/gap": jnp.mean(found),
            "temperature/alpha": alpha,
        }
        multiplier = state.multiplier
        if multiplier is not None:
            # Of -1/2 sum_e exp(log multiplier) cql_alpha (gap_e - wanted).
            slope = -0.5 * weight * jnp.sum(found - config.action_gap)
            multiplier = train_state.apply_gradients(multiplier, slope, optimizer)
            means["multiplier/value"] = factor(state)
        return State(actor, temperature, values, multiplier), means

    phase = Phase("policy", config.num_steps, config.batch_size, update)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: state.actor.params,
        act_by(policy.mean),
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(policy.explore, phase),
    )


def _samples(
    policy: entropy_policy.EntropyLearner,
    params: Params,
    key: PRNGKey,
    observation: Array,
    count: int,
) -> tuple[Array, Array]:
    """Actions `[count, B, A]` and log-densities `[count, B]`."""
    keys = jax.random.split(key, count)
    return jax.vmap(lambda k: policy.sample(params, k, observation))(keys)


def _others(
    policy: entropy_policy.EntropyLearner,
    params: Params,
    key: PRNGKey,
    batch: Transition,
    count: int,
) -> Others:
    """``count`` actions from each source."""
    uniform_key, here_key, next_key = jax.random.split(key, 3)
    shape = batch.action.shape
    uniform = jax.random.uniform(uniform_key, (count, *shape), jnp.float32, -1.0, 1.0)
    # The density of the box, of side 2.
    flat = jnp.full((count, shape[0]), -shape[1] * math.log(2.0), jnp.float32)
    here, log_here = _samples(policy, params, here_key, batch.observation, count)
    after, log_after = _samples(policy, params, next_key, batch.next_observation, count)
    return Others(
        jnp.concatenate([uniform, here, after]),
        jnp.concatenate([flat, log_here, log_after]),
    )


def _gap(
    apply: Callable[..., Array],
    params: Params,
    batch: Transition,
    far: Others,
    least: float,
) -> Array:
    """log sum exp Q, with importance weights, less Q of the data: means `[E]`."""
    q = apply(params, batch.observation, batch.action)
    # [3 M, E, B]
    apart = jax.vmap(lambda a: apply(params, batch.observation, a))(far.action)
    soft = jax.nn.logsumexp(apart - far.log_density[:, None], axis=0)
    return jnp.mean(jnp.maximum(soft - q, least), axis=-1)
