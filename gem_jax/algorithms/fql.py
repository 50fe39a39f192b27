"""FQL, flow Q-learning (Park et al., 2025): a policy of one step, taught by a flow.

A flow clones the behavior. A map from noise to actions imitates the flow's samples,
starting from the same noise, and follows the critics' gradient; the flow is never
asked for gradients of its steps, nor when acting.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import checks, inference, train_state
from gem_jax.algorithm import Algorithm, Online, Phase
from gem_jax.algorithms import _sampled
from gem_jax.learners import batch_metrics, exploration, flow_policy, q_ensemble
from gem_jax.ops import flow
from gem_jax.train_state import TrainState
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

_REDUCTIONS: Mapping[str, Callable[..., Array]] = {"mean": jnp.mean, "min": jnp.min}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """FQL's settings; defaults are the reference's for D4RL's AntMaze.

    Attributes:
      num_steps: gradient steps.
      batch_size: transitions a step.
      hidden_sizes: widths of every network.
      learning_rate: of Adam.
      num_critics: ensemble size.
      critic_layer_norm: standardize the critics' hidden layers.
      target_reduction: of the critics in targets: ``"mean"`` or ``"min"``.
      discount: of the return.
      polyak: rate of the target critics.
      alpha: weight of the distance to the flow's action, beside Q.
      flow_steps: Euler steps of the flow that teaches.
      normalize_observations: by the dataset's mean and standard deviation.
      num_candidates: N, see ``Knobs``.
    """

    num_steps: int = 500_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (512, 512, 512, 512)
    learning_rate: float = 3e-4
    num_critics: int = 2
    critic_layer_norm: bool = True
    target_reduction: str = "mean"
    discount: float = 0.99
    polyak: float = 0.005
    alpha: float = 10.0
    flow_steps: int = 10
    normalize_observations: bool = True
    num_candidates: int = 1

    def __post_init__(self) -> None:
        checks.widths(self, "hidden_sizes")
        checks.positive(self, "num_steps", "batch_size", "learning_rate")
        checks.positive(self, "num_critics", "flow_steps")
        checks.fraction(self, "discount", "polyak")
        checks.not_negative(self, "alpha")
        checks.one_of(self, "target_reduction", _REDUCTIONS)
        Knobs(self.num_candidates).validate()

    @property
    def floats_per_candidate(self) -> int:
        """What a sample takes while its network is evaluated."""
        return 2 * max(self.hidden_sizes)


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6, batch_size=8, hidden_sizes=(16,), flow_steps=3, num_candidates=2
)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class Knobs:
    """How to choose an action; changing a field recompiles.

    Attributes:
      num_candidates: N, samples of the policy, of which the best by the critics' mean
        is executed (static). 1 is the source's.
    """

    num_candidates: int = dataclasses.field(default=1, metadata=_sampled.STATIC)

    def validate(self) -> None:
        """Checks concrete knobs.

        Raises:
          ValueError: a knob is out of range.
        """
        _sampled.require_counts(self, "num_candidates")

    @property
    def set_size(self) -> int:
        """How many candidates there are."""
        return self.num_candidates


@flax.struct.dataclass
class State:
    """Attributes:
    behavior: the flow.
    actor: the map from noise to actions.
    values: critics and their slow copies.
    """

    behavior: TrainState
    actor: TrainState
    values: q_ensemble.QState


class ActorParams(NamedTuple):
    """What acting reads."""

    actor: Params
    critic: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    network = flow_policy.make_field(spec, config.hidden_sizes)
    optimizer = optax.adam(config.learning_rate)
    behavior = flow_policy.make_flow_learner(
        spec, optimizer, hidden_sizes=config.hidden_sizes
    )
    critics = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=config.hidden_sizes,
        num_critics=config.num_critics,
        discount=config.discount,
        layer_norm=config.critic_layer_norm,
        activation="gelu",
    )

    def init(key: PRNGKey) -> State:
        behavior_key, actor_key, value_key = jax.random.split(key, 3)
        observation = jnp.zeros(spec.observation_size)
        actor = network.init(actor_key, observation, jnp.zeros(spec.action_size))
        return State(
            behavior=behavior.init(behavior_key),
            actor=train_state.create(actor, optimizer),
            values=critics.init(value_key),
        )

    def taught(params: Params, observation: Array, noise: Array) -> Array:
        """Where the flow takes the noise, `[B, A]`."""

        def field(x: Array, t: Array) -> Array:
            time = jnp.broadcast_to(t, x.shape[:-1])
            return network.apply(params, observation, x, time)

        return jnp.clip(flow.euler(field, noise, config.flow_steps), -1.0, 1.0)

    def target(state: State, noise: Array, batch: Transition) -> Array:
        """r + discount (1 - d) mean_e Q(s', mu(s', z))."""
        following = batch.next_observation
        action = network.apply(state.actor.params, following, noise)
        action = jnp.clip(action, -1.0, 1.0)
        q = critics.apply(state.values.target_critic, following, action)
        return critics.target(batch, _REDUCTIONS[config.target_reduction](q, axis=0))

    def actor_loss(params: Params, state: State, batch: Transition, noise: Array):
        """alpha |mu(s, z) - flow(s, z)|^2 / A - mean_e Q(s, mu(s, z)), its mean."""
        goal = taught(state.behavior.params, batch.observation, noise)
        action = network.apply(params, batch.observation, noise)
        distance = jnp.mean((action - goal) ** 2, axis=-1)
        inside = jnp.clip(action, -1.0, 1.0)
        q = critics.apply(state.values.critic.params, batch.observation, inside)
        q = jnp.mean(q, axis=0)
        losses = config.alpha * distance - q
        rows = {"actor/loss": losses, "actor/distance": distance, "actor/q": q}
        return jnp.mean(losses), rows

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        next_key, noise_key, behavior_key = jax.random.split(key, 3)
        following, noise = (
            jax.random.normal(k, batch.action.shape, jnp.float32)
            for k in (next_key, noise_key)
        )
        # All three by the parameters before the step, as in the reference.
        y = target(state, following, batch)
        new_values, of_critic = critics.update(state.values, batch, y, config.polyak)
        grads, of_actor = jax.grad(actor_loss, has_aux=True)(
            state.actor.params, state, batch, noise
        )
        new_actor = train_state.apply_gradients(state.actor, grads, optimizer)
        new_behavior, rows = behavior.update(state.behavior, behavior_key, batch)
        metrics = {**of_critic, **of_actor, "behavior/loss": rows["loss"]}
        return State(new_behavior, new_actor, new_values), batch_metrics.means(metrics)

    def propose(
        params: ActorParams, key: PRNGKey, observation: Array, n: int, knobs: Knobs
    ) -> Array:
        del knobs
        noise = jax.random.normal(key, (n, spec.action_size), jnp.float32)
        return network.apply(params.actor, observation, noise)

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Knobs
    ) -> ActOutput:
        del t
        candidates = _sampled.candidates(propose, params, key, observation, knobs)
        q = jnp.mean(critics.apply(params.critic, observation, candidates), axis=0)
        selection = inference.select(candidates, q)
        return ActOutput(selection.action, _sampled.audit(q, selection))

    phase = Phase("policy", config.num_steps, config.batch_size, update)
    knobs = Knobs(config.num_candidates)
    return Algorithm(
        spec,
        init,
        (phase,),
        lambda state: ActorParams(state.actor.params, state.values.critic.params),
        act,
        knobs=knobs,
        normalize_observations=config.normalize_observations,
        n_step_discount=config.discount,
        online=Online(exploration.acting(act, knobs), phase),
        propose=propose,
    )
