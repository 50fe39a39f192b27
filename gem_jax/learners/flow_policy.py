"""A flow model of the behavior: flow matching, samples by Euler steps."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.learners.generative import GenerativeLearner
from gem_jax.networks import bundle
from gem_jax.networks.vector_field import VectorField
from gem_jax.ops import flow
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


def make_flow_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
) -> GenerativeLearner:
    """Minimizes ``|v(s, x_t, t) - (a - z)|^2 / A``, x_t between noise z and a.

    As the behavior of FQL and IFQL (Park et al., 2025). Observations are normalized.
    """
    network = bundle.from_module(VectorField(hidden_sizes, spec.action_size))

    def init(key: PRNGKey) -> TrainState:
        action, time = jnp.zeros(spec.action_size), jnp.zeros(())
        params = network.init(key, jnp.zeros(spec.observation_size), action, time)
        return train_state.create(params, optimizer)

    def loss(params: Params, batch: Transition, noise: Array, time: Array):
        x = flow.between(noise, batch.action, time)
        velocity = network.apply(params, batch.observation, x, time)
        losses = jnp.mean((velocity - (batch.action - noise)) ** 2, axis=-1)
        return jnp.mean(losses), {"loss": losses}

    def update(
        state: TrainState, key: PRNGKey, batch: Transition
    ) -> tuple[TrainState, PerTransition]:
        noise_key, time_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, batch.action.shape, jnp.float32)
        time = jax.random.uniform(time_key, batch.reward.shape, jnp.float32)
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, batch, noise, time)
        return train_state.apply_gradients(state, grads, optimizer), metrics

    def sample(
        params: Params, key: PRNGKey, observation: Array, n: int, num_steps: int
    ) -> Array:
        start = jax.random.normal(key, (n, spec.action_size), jnp.float32)
        found = flow.euler(
            lambda x, t: network.apply(params, observation, x, t), start, num_steps
        )
        return jnp.clip(found, -1.0, 1.0)

    return GenerativeLearner(init, update, lambda state: state.params, sample)
