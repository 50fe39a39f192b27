"""q(z|s): which cluster's policy a state is seen under (EMPO, section 3.3)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.networks import bundle, mlp
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Metrics, Params, PRNGKey


class Classifier(NamedTuple):
    """Attributes:
    init: key to state.
    step: (state, observation `[B, O]`, posterior `[B, K]`) to (state, metrics).
    log_prob: (params, observation `[..., O]`) to log q(z|s) `[..., K]`.
    """

    init: Callable[[PRNGKey], TrainState]
    step: Callable[[TrainState, Array, Array], tuple[TrainState, Metrics]]
    log_prob: Callable[[Params, Array], Array]


def make_classifier(
    observation_size: int,
    num_clusters: int,
    hidden_sizes: tuple[int, ...],
    optimizer: optax.GradientTransformation,
) -> Classifier:
    """Trained on KL(Q(z|tau) || q(z|s)), mean over states."""
    network = bundle.from_module(mlp.Head(hidden_sizes, num_clusters))

    def init(key: PRNGKey) -> TrainState:
        params = network.init(key, jnp.zeros(observation_size))
        return train_state.create(params, optimizer)

    def log_prob(params: Params, observation: Array) -> Array:
        return jax.nn.log_softmax(network.apply(params, observation), axis=-1)

    def loss(params: Params, observation: Array, posterior: Array) -> Array:
        cross = -jnp.sum(posterior * log_prob(params, observation), axis=-1)
        return jnp.mean(cross - entropy(posterior))

    def step(
        state: TrainState, observation: Array, posterior: Array
    ) -> tuple[TrainState, Metrics]:
        value, grads = jax.value_and_grad(loss)(state.params, observation, posterior)
        new = train_state.apply_gradients(state, grads, optimizer)
        return new, {"classifier/kl": value}

    return Classifier(init, step, log_prob)


def entropy(weight: Array) -> Array:
    """-sum_z w log w over the last axis in nats, 0 log 0 being 0."""
    return jnp.sum(jax.scipy.special.entr(weight), axis=-1)
