"""EMPO's values of each cluster's behavior: SARSA Q, Monte-Carlo V (section 3.2)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.networks import bundle, mlp
from gem_jax.ops import returns
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Metrics, Params, PRNGKey, Transition


@flax.struct.dataclass
class Critic:
    """Attributes:
    q: Q(s, a; psi), one output a cluster.
    target_q: its slow copy.
    """

    q: TrainState
    target_q: Params


class SarsaLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, batch, label `[B]`, step) to (state, metrics); the batch needs what
      ``learners.sarsa.next_actions`` attaches.
    apply: (params, observation, action, label) to Q `[B]`.
    """

    init: Callable[[PRNGKey], Critic]
    update: Callable[..., tuple[Critic, Metrics]]
    apply: Callable[..., Array]


class ValueLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, batch, label) to (state, metrics); the batch needs what
      ``discounted_returns`` attaches.
    apply: (params, observation, label) to V `[B]`.
    """

    init: Callable[[PRNGKey], TrainState]
    update: Callable[..., tuple[TrainState, Metrics]]
    apply: Callable[..., Array]


def pick(values: Array, label: Array) -> Array:
    """The value of each row's own cluster, `[B, K]` to `[B]`."""
    return jnp.take_along_axis(values, label[:, None], axis=1)[:, 0]


def discounted_returns(
    discount: float,
    num_trajectories: int = 0,
    tail_value: Callable[[Any, Transition], Array] | None = None,
) -> Callable[..., Any]:
    """A ``prepare``: the return from each step to the end of its trajectory.

    Args:
      discount: gamma.
      num_trajectories: in the dataset.
      tail_value: (state, batch) to `[B]`, what the last step of a trajectory that was
        cut off and all that would follow it are worth; by default its reward alone.
    """

    def prepare(
        state: Any, key: PRNGKey, dataset: Transition
    ) -> tuple[Any, Mapping[str, Array]]:
        del key
        last = returns.last_steps(dataset.extras["episode"])
        terminal, reward = dataset.terminal > 0.0, dataset.reward
        if tail_value is not None:
            beyond = reward.shape[0]  # stands for no row: nothing is written there
            (rows,) = jnp.nonzero(
                last & ~terminal, size=num_trajectories, fill_value=beyond
            )
            batch = jax.tree.map(lambda leaf: leaf[rows], dataset)
            reward = reward.at[rows].set(tail_value(state, batch), mode="drop")
        done = last | terminal
        return state, {"return": returns.monte_carlo(reward, done, discount)}

    return prepare


def make_sarsa_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_clusters: int,
    discount: float,
    polyak: float,
    target_period: int,
) -> SarsaLearner:
    """loss_Q, with the terminal mask that the paper's text leaves out (erratum 5)."""
    network = bundle.from_module(mlp.Head(hidden_sizes, num_clusters))

    def init(key: PRNGKey) -> Critic:
        params = network.init(key, jnp.zeros(spec.observation_size + spec.action_size))
        copy = jax.tree.map(jnp.copy, params)
        return Critic(q=train_state.create(params, optimizer), target_q=copy)

    def q_value(
        params: Params, observation: Array, action: Array, label: Array
    ) -> Array:
        both = jnp.concatenate([observation, action], axis=-1)
        return pick(network.apply(params, both), label)

    def loss(
        params: Params, batch: Transition, label: Array, target: Array
    ) -> tuple[Array, Array]:
        q = q_value(params, batch.observation, batch.action, label)
        error = batch.extras["has_target"] * (q - target) ** 2
        return jnp.mean(error), jnp.mean(q)

    def update(
        state: Critic, batch: Transition, label: Array, step: Array
    ) -> tuple[Critic, Metrics]:
        next_action = batch.extras["next_action"]
        next_q = q_value(state.target_q, batch.next_observation, next_action, label)
        target = value_ops.td_target(batch.reward, batch.terminal, next_q, discount)
        (value, q), grads = jax.value_and_grad(loss, has_aux=True)(
            state.q.params, batch, label, target
        )
        new_q = train_state.apply_gradients(state.q, grads, optimizer)
        # A step towards the online ones; optax.periodic_update would copy them.
        rate = jnp.where((step + 1) % target_period == 0, polyak, 0.0)
        new = Critic(
            q=new_q, target_q=train_state.polyak(state.target_q, new_q.params, rate)
        )
        return new, {"critic/loss": value, "critic/q": q}

    return SarsaLearner(init, update, q_value)


def make_value_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_clusters: int,
) -> ValueLearner:
    """loss_V: regression on discounted returns (Eq. 10 with r_{i+t}, erratum 3)."""
    network = bundle.from_module(mlp.Head(hidden_sizes, num_clusters))

    def init(key: PRNGKey) -> TrainState:
        params = network.init(key, jnp.zeros(spec.observation_size))
        return train_state.create(params, optimizer)

    def value(params: Params, observation: Array, label: Array) -> Array:
        return pick(network.apply(params, observation), label)

    def loss(params: Params, batch: Transition, label: Array) -> tuple[Array, Array]:
        v = value(params, batch.observation, label)
        return jnp.mean((v - batch.extras["return"]) ** 2), jnp.mean(v)

    def update(
        state: TrainState, batch: Transition, label: Array
    ) -> tuple[TrainState, Metrics]:
        (error, v), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params, batch, label
        )
        new = train_state.apply_gradients(state, grads, optimizer)
        return new, {"value/loss": error, "value/v": v}

    return ValueLearner(init, update, value)
