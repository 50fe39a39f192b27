"""EMPO's policy improvement: PPO against the cloned behavior, offline (3.2)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.ops import gaussian
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Metrics, Params, PRNGKey

PolicyFn = Callable[[Params, Array], gaussian.Gaussian]  # to leaves [K, B, A]
AdvantageFn = Callable[[Array, Array, Array], Array]  # observation, action, label


class PolicyLearner(NamedTuple):
    """Attributes:
    start: params of the behavior to the state before the first step.
    update: (state, key, behavior params, observation, label, weight `[B]`, advantage)
      to (state, metrics).
    """

    start: Callable[[Params], TrainState]
    update: Callable[..., tuple[TrainState, Metrics]]


def own(policies: gaussian.Gaussian, label: Array) -> gaussian.Gaussian:
    """Of the policies `[K, B, A]` each row's own, `[B, A]`."""
    rows = jnp.arange(label.shape[0])
    return gaussian.Gaussian(policies.mean[label, rows], policies.log_std[label, rows])


def propose(
    key: PRNGKey, policy: gaussian.Gaussian, advantage: Callable[[Array], Array]
) -> tuple[Array, Array]:
    """a' of the behavior, and its advantage: that of the action as executed."""
    action = gaussian.sample(key, policy)
    return action, advantage(jnp.clip(action, -1.0, 1.0))


def make_policy_learner(
    policy: PolicyFn,
    learning_rate: float,
    *,
    clip: float,
    num_chunks: int,
    size: int,
) -> PolicyLearner:
    """L_pi, whose minimum is wanted: the paper's Eq. 14 lacks the sign (erratum 4).

    Args:
      policy: all clusters' policies.
      learning_rate: of Adam.
      clip: epsilon.
      num_chunks: batches whose gradients add up to one step. They are chunks of the
        whole data set when above 1; the ratio's denominator stays the behavior.
      size: rows with weight 1 in those batches together.
    """
    adam = optax.adam(learning_rate)
    optimizer = optax.MultiSteps(adam, num_chunks).gradient_transformation()

    def start(behavior: Params) -> TrainState:
        return train_state.create(jax.tree.map(jnp.copy, behavior), optimizer)

    def loss(
        params: Params,
        observation: Array,
        label: Array,
        weight: Array,
        action: Array,
        old_log_prob: Array,
        advantage: Array,
    ) -> tuple[Array, Array]:
        new = own(policy(params, observation), label)
        log_ratio = gaussian.log_prob(new, action) - old_log_prob
        gain = value_ops.clipped_surrogate(log_ratio, advantage, clip)
        # The optimizer takes the mean over chunks; the last one may be filled up.
        scale = num_chunks / size
        clipped = jnp.abs(jnp.expm1(log_ratio)) > clip
        return -scale * jnp.sum(weight * gain), jnp.mean(clipped, dtype=jnp.float32)

    def update(
        state: TrainState,
        key: PRNGKey,
        behavior: Params,
        observation: Array,
        label: Array,
        weight: Array,
        advantage: AdvantageFn,
    ) -> tuple[TrainState, Metrics]:
        old = own(policy(behavior, observation), label)
        action, gain = propose(key, old, lambda a: advantage(observation, a, label))
        (value, clipped), grads = jax.value_and_grad(loss, has_aux=True)(
            state.params,
            observation,
            label,
            weight,
            action,
            gaussian.log_prob(old, action),
            gain,
        )
        metrics = {
            "policy/loss": value,
            "policy/clipped": clipped,
            "policy/advantage": jnp.mean(gain),
        }
        return train_state.apply_gradients(state, grads, optimizer), metrics

    return PolicyLearner(start, update)
