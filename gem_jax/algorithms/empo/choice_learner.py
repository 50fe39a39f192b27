"""EMPO's high-level policy: which cluster acts, by IQL over clusters (3.3)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.algorithms.empo import value_learners
from gem_jax.networks import bundle, mlp
from gem_jax.ops import returns
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Metrics, Params, PRNGKey, Transition


@flax.struct.dataclass
class Choice:
    """Attributes:
    q: Q_H(s, z), one output a cluster.
    target_q: its copy of some steps ago.
    value: V_H(s).
    """

    q: TrainState
    target_q: Params
    value: TrainState


class ChoiceLearner(NamedTuple):
    """Attributes:
    init: key to state.
    prepare: attaches n-step returns.
    update: (state, batch, label, step) to (state, metrics).
    apply: (params, observation `[..., O]`) to `[..., K]`.
    """

    init: Callable[[PRNGKey], Choice]
    prepare: Callable[..., Any]
    update: Callable[..., tuple[Choice, Metrics]]
    apply: Callable[[Params, Array], Array]


def best_in_distribution(q: Array, log_prob: Array, ratio: float) -> Array:
    """argmax of Q_H over ID(s) = {z : q(z|s) >= max q / b}, `[..., K]` to `[...]`.

    Args:
      q: Q_H(s, z).
      log_prob: log q(z|s) of the classifier.
      ratio: b >= 1, so that ID(s) is never empty (erratum 6).
    """
    return jnp.argmax(jnp.where(in_distribution(log_prob, ratio), q, -jnp.inf), axis=-1)


def in_distribution(log_prob: Array, ratio: float) -> Array:
    """Whether a cluster is in ID(s), `[..., K]`; see ``best_in_distribution``."""
    best = jnp.max(log_prob, axis=-1, keepdims=True)
    return log_prob >= best - jnp.log(ratio)


def make_choice_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_clusters: int,
    discount: float,
    expectile: float,
    n_step: int,
    target_period: int,
) -> ChoiceLearner:
    """loss_QH and loss_VH; the cluster that acted is that of the trajectory."""
    q_net = bundle.from_module(mlp.Head(hidden_sizes, num_clusters))
    value_net = bundle.from_module(mlp.Head(hidden_sizes, 1))

    def init(key: PRNGKey) -> Choice:
        q_key, value_key = jax.random.split(key)
        observation = jnp.zeros(spec.observation_size)
        params = q_net.init(q_key, observation)
        return Choice(
            q=train_state.create(params, optimizer),
            target_q=jax.tree.map(jnp.copy, params),
            value=train_state.create(value_net.init(value_key, observation), optimizer),
        )

    def prepare(
        state: Any, key: PRNGKey, dataset: Transition
    ) -> tuple[Any, Mapping[str, Array]]:
        del key
        stop = returns.ends(dataset.extras["episode"], dataset.terminal)
        total, length, row = returns.n_step(dataset.reward, stop, discount, n_step)
        return state, {
            "n_return": total,
            "n_discount": discount**length * (1.0 - dataset.terminal[row]),
            "n_observation": dataset.next_observation[row],
        }

    def value(params: Params, observation: Array) -> Array:
        return value_net.apply(params, observation)[..., 0]

    def q_loss(params: Params, batch: Transition, label: Array, target: Array) -> Array:
        q = value_learners.pick(q_net.apply(params, batch.observation), label)
        return jnp.mean((q - target) ** 2)

    def value_loss(
        params: Params, batch: Transition, target_q: Array
    ) -> tuple[Array, Array]:
        v = value(params, batch.observation)
        loss = value_ops.expectile_loss(target_q - v, expectile)
        return jnp.mean(loss), jnp.mean(v)

    def update(
        state: Choice, batch: Transition, label: Array, step: Array
    ) -> tuple[Choice, Metrics]:
        extras = batch.extras
        # ``n_observation`` comes in normalized, like the batch's own two.
        ahead = value(state.value.params, extras["n_observation"])
        target = extras["n_return"] + extras["n_discount"] * ahead
        target_q = value_learners.pick(
            q_net.apply(state.target_q, batch.observation), label
        )
        q_error, q_grads = jax.value_and_grad(q_loss)(
            state.q.params, batch, label, target
        )
        (v_error, v), v_grads = jax.value_and_grad(value_loss, has_aux=True)(
            state.value.params, batch, target_q
        )
        new_q = train_state.apply_gradients(state.q, q_grads, optimizer)
        due = (step + 1) % target_period == 0
        new = Choice(
            q=new_q,
            target_q=jax.tree.map(
                lambda new, old: jnp.where(due, new, old), new_q.params, state.target_q
            ),
            value=train_state.apply_gradients(state.value, v_grads, optimizer),
        )
        return new, {
            "choice/q_loss": q_error,
            "choice/value_loss": v_error,
            "choice/v": v,
        }

    return ChoiceLearner(init, prepare, update, q_net.apply)
