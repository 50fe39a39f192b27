"""What SAC-N and EDAC share: soft actor-critic with a large ensemble (An et al., 2021).

The lowest of N critics is the value, of the policy's loss and of the targets: it is low
where the data are few, since critics differ there.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks
from gem_jax.algorithm import Algorithm, Online, Phase, act_by
from gem_jax.learners import batch_metrics, entropy_policy, q_ensemble
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

# (apply, batch, critics' parameters) to a number; apply gives Q `[E, B]`.
PenaltyFn = Callable[[Callable[..., Array], Transition, Params], Array]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Settings of both; defaults are the reference's for halfcheetah.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam, for all.
      num_critics: N.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      polyak: rate of the target critics.
      log_std_min: lower bound of the policy's log-std before the tanh.
      log_std_max: upper bound.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 3_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    num_critics: int = 10
    critic_layer_norm: bool = False
    discount: float = 0.99
    polyak: float = 0.005
    log_std_min: float = -5.0
    log_std_max: float = 2.0
    normalize_observations: bool = False

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.ordered(self, "log_std_min", "log_std_max")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics")
        checks.fraction(self, "discount", "polyak")


@flax.struct.dataclass
class State:
    """Attributes:
    actor: the squashed Gaussian policy.
    temperature: log alpha.
    values: critics and their slow copies.
    """

    actor: TrainState
    temperature: TrainState
    values: q_ensemble.QState


def make(config: Config, spec: EnvSpec, penalty: PenaltyFn | None = None) -> Algorithm:
    """Binds the settings to an environment's sizes.

    Args:
      config: of the method.
      spec: sizes of the environment.
      penalty: added to the critics' loss, which is the mean of theirs.
    """
    optimizer = optax.adam(config.learning_rate)
    policy = entropy_policy.make_entropy_learner(
        spec,
        optimizer,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        log_std_min=config.log_std_min,
        log_std_max=config.log_std_max,
    )
    critics = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
        layer_norm=config.critic_layer_norm,
    )

    def init(key: PRNGKey) -> State:
        actor_key, value_key = jax.random.split(key)
        actor, temperature = policy.init(actor_key)
        return State(actor, temperature, critics.init(value_key))

    def update(state: State, key: PRNGKey, batch: Transition, step: Array) -> Any:
        """Temperature, policy and critics in this order, each by those before it."""
        del step
        tune_key, actor_key, next_key = jax.random.split(key, 3)
        temperature = policy.tune(
            state.temperature, state.actor.params, tune_key, batch.observation
        )
        alpha = jnp.exp(temperature.params)
        q_params = state.values.critic.params
        actor, of_actor = policy.update(
            *(state.actor, alpha, actor_key, batch.observation),
            lambda action: critics.lowest(q_params, batch.observation, action),
        )
        following, log_prob = policy.sample(
            actor.params, next_key, batch.next_observation
        )
        next_value = critics.lowest(
            state.values.target_critic, batch.next_observation, following
        )
        y = critics.target(batch, next_value - alpha * log_prob)
        bound = penalty and functools.partial(penalty, critics.apply, batch)
        values, of_critic = critics.update(
            *(state.values, batch, y, config.polyak), penalty=bound
        )
        named = {f"actor/{name}": rows for name, rows in of_actor.items()}
        means = batch_metrics.means({**of_critic, **named})
        means = {**means, "temperature/alpha": alpha}
        return State(actor, temperature, values), means

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
