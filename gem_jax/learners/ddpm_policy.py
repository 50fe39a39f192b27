"""A diffusion model of few steps (DDPM) that clones the behavior: IDQL's."""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.learners.generative import GenerativeLearner
from gem_jax.networks import bundle
from gem_jax.networks.residual import ResidualNetwork
from gem_jax.ops import diffusion
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


class Averaged(NamedTuple):
    """Attributes:
    trained: the network.
    average: its slow copy, which samples.
    """

    trained: TrainState
    average: Params


def noise_errors(
    predict: diffusion.NoiseFn, key: PRNGKey, action: Array, num_steps: int
) -> Array:
    """Squared errors `[B, A]` of the noise predicted at one of T times for each action.

    Args:
      predict: (x `[B, A]`, time `[B]`) to the noise in x.
      key: consumed.
      action: `[B, A]`.
      num_steps: T; times are 1/T, 2/T to 1.
    """
    noise_key, time_key = jax.random.split(key)
    noise = jax.random.normal(noise_key, action.shape, jnp.float32)
    number = jax.random.randint(time_key, action.shape[:-1], 1, num_steps + 1)
    time = number.astype(jnp.float32) / num_steps
    x = diffusion.noised(action, noise, time, diffusion.DDPM_BETA_MAX)
    return (predict(x, time) - noise) ** 2


def make_ddpm_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    width: int,
    num_blocks: int,
    dropout: float,
    num_steps: int,
    averaging_rate: float,
) -> GenerativeLearner:
    """Minimizes the squared error of the noise predicted at one of T times.

    Observations come in normalized.

    Args:
      spec: sizes of the environment.
      optimizer: of the network.
      width: of the residual network.
      num_blocks: of it.
      dropout: of it.
      num_steps: T; times are 1/T, 2/T to 1.
      averaging_rate: of the parameters' slow copy.
    """
    network = bundle.from_module(
        ResidualNetwork(width, num_blocks, spec.action_size, dropout)
    )

    def init(key: PRNGKey) -> Averaged:
        action, time = jnp.zeros(spec.action_size), jnp.zeros(())
        params = network.init(key, jnp.zeros(spec.observation_size), action, time)
        copy = jax.tree.map(jnp.copy, params)
        return Averaged(train_state.create(params, optimizer), copy)

    def update(
        state: Averaged, key: PRNGKey, batch: Transition
    ) -> tuple[Averaged, PerTransition]:
        noise_key, dropout_key = jax.random.split(key)

        def mean_loss(params: Params):
            def predict(x: Array, time: Array) -> Array:
                return network.apply(
                    *(params, batch.observation, x, time),
                    training=True,
                    rngs={"dropout": dropout_key},
                )

            errors = noise_errors(predict, noise_key, batch.action, num_steps)
            losses = jnp.sum(errors, axis=-1)
            return jnp.mean(losses), {"loss": losses}

        grads, metrics = jax.grad(mean_loss, has_aux=True)(state.trained.params)
        trained = train_state.apply_gradients(state.trained, grads, optimizer)
        average = train_state.polyak(state.average, trained.params, averaging_rate)
        return Averaged(trained, average), metrics

    def sample(
        params: Params, key: PRNGKey, observation: Array, n: int, num_steps: int
    ) -> Array:
        start_key, noise_key = jax.random.split(key)
        start = jax.random.normal(start_key, (n, spec.action_size), jnp.float32)
        return diffusion.ddpm(
            lambda x, t: network.apply(params, observation, x, t),
            *(noise_key, start, num_steps),
        )

    return GenerativeLearner(init, update, lambda state: state.average, sample)
