"""A diffusion model of the behavior: denoising score matching, samples by a solver."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.learners.generative import GenerativeLearner
from gem_jax.networks import bundle
from gem_jax.networks.score import ScoreNetwork
from gem_jax.ops import diffusion
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition

_LEAST_TIME = 1e-5  # of training


def make_diffusion_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
) -> GenerativeLearner:
    """Minimizes the squared error of the noise predicted in x_t, t uniform in (0, 1].

    That is SfBC's E |sigma_t s(x_t, t, s) + z|^2, where the score is the noise over
    -sigma_t. Observations come in normalized.
    """
    network = bundle.from_module(ScoreNetwork(hidden_sizes, spec.action_size))

    def init(key: PRNGKey) -> TrainState:
        action, time = jnp.zeros(spec.action_size), jnp.zeros(())
        params = network.init(key, jnp.zeros(spec.observation_size), action, time)
        return train_state.create(params, optimizer)

    def loss(params: Params, batch: Transition, noise: Array, time: Array):
        x = diffusion.noised(batch.action, noise, time)
        predicted = network.apply(params, batch.observation, x, time)
        losses = jnp.sum((predicted - noise) ** 2, axis=-1)
        return jnp.mean(losses), {"loss": losses}

    def update(
        state: TrainState, key: PRNGKey, batch: Transition
    ) -> tuple[TrainState, PerTransition]:
        noise_key, time_key = jax.random.split(key)
        noise = jax.random.normal(noise_key, batch.action.shape, jnp.float32)
        size = batch.reward.shape
        time = jax.random.uniform(time_key, size, jnp.float32, _LEAST_TIME, 1.0)
        grads, metrics = jax.grad(loss, has_aux=True)(state.params, batch, noise, time)
        return train_state.apply_gradients(state, grads, optimizer), metrics

    def sample(
        params: Params, key: PRNGKey, observation: Array, n: int, num_steps: int
    ) -> Array:
        start = jax.random.normal(key, (n, spec.action_size), jnp.float32)
        found = diffusion.dpm_solver(
            lambda x, t: network.apply(params, observation, x, t), start, num_steps
        )
        return jnp.clip(found, -1.0, 1.0)

    return GenerativeLearner(init, update, lambda state: state.params, sample)
