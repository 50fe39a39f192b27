"""IFQL (Park et al., 2025): the best of N samples of a flow, by an IQL critic.

The flow version of IDQL (Hansen-Estruch et al., 2023): a generative model clones the
behavior, implicit Q-learning judges its samples, and nothing else is trained.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import inference
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.learners import batch_metrics, checks, expectile_value, flow_policy
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

_STATIC = {"static": True}  # what register_dataclass looks for


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action; changing a field recompiles.

    Attributes:
      num_candidates: N, samples of the behavior (static).
      sampling_steps: T, Euler steps of each (static).
    """

    num_candidates: int = dataclasses.field(default=32, metadata=_STATIC)
    sampling_steps: int = dataclasses.field(default=10, metadata=_STATIC)

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range.
        """
        for name in ("num_candidates", "sampling_steps"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise ValueError(
                    f"{name} must be a whole number of at least 1, got {value!r}"
                )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """IFQL's settings; defaults are the reference's for D4RL's AntMaze.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam.
      num_critics: ensemble size, reduced by its minimum.
      critic_layer_norm: standardize the critics' hidden layers.
      discount: of the return.
      expectile: tau of the value regression.
      polyak: rate of the target critics.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``Knobs``.
      sampling_steps: T.
    """

    num_steps: int = 500_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (512, 512, 512, 512)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = True
    discount: float = 0.99
    expectile: float = 0.9
    polyak: float = 0.005
    normalize_observations: bool = True
    num_candidates: int = 32
    sampling_steps: int = 10

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics")
        checks.fraction(self, "discount", "expectile", "polyak")
        self.knobs().validate()

    def knobs(self) -> Knobs:
        """The knobs of acting."""
        return Knobs(self.num_candidates, self.sampling_steps)


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16, 16),
    num_candidates=5,
    sampling_steps=3,
)


@flax.struct.dataclass
class State:
    """Attributes:
    behavior: the flow.
    values: critics and value.
    """

    behavior: TrainState
    values: expectile_value.ValueState


class ActorParams(NamedTuple):
    """What acting reads."""

    behavior: Params
    critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    behavior = flow_policy.make_flow_learner(
        spec, optax.adam(config.learning_rate), hidden_sizes=config.hidden_sizes
    )
    values = expectile_value.make_value_learner(config, spec)

    def init(key: PRNGKey) -> State:
        behavior_key, value_key = jax.random.split(key)
        return State(behavior.init(behavior_key), values.init(value_key))

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        new_values, _, metrics = values.update(state.values, batch)
        new_behavior, rows = behavior.update(state.behavior, key, batch)
        metrics = {**metrics, "behavior/loss": rows["loss"]}
        return State(new_behavior, new_values), batch_metrics.means(metrics)

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Knobs
    ) -> ActOutput:
        del t

        def sampler(sampler_key: PRNGKey, n: int) -> Array:
            return behavior.sample(
                params.behavior, sampler_key, observation, n, knobs.sampling_steps
            )

        candidates = inference.propose(key, sampler, knobs.num_candidates, anchor=None)
        q = jnp.min(values.apply(params.critic, observation, candidates), axis=0)
        selection = inference.select(candidates, q)
        audit = {
            "q_above_mean": q[selection.best_index] - jnp.mean(q),
            "bad_candidates": selection.bad_share,
            "bad_set": selection.all_bad.astype(jnp.float32),
        }
        return ActOutput(selection.action, audit)

    return Algorithm(
        spec,
        init,
        (Phase("policy", config.num_steps, config.batch_size, update),),
        lambda state: ActorParams(state.behavior.params, state.values.critic.params),
        act,
        knobs=config.knobs(),
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
    )
