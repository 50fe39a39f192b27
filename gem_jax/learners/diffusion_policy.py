"""A diffusion model of the behavior: denoising score matching, samples by a solver."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import optax

from gem_jax.learners import generative
from gem_jax.networks import bundle
from gem_jax.networks.score import ScoreNetwork
from gem_jax.ops import diffusion
from gem_jax.types import Array, EnvSpec


def make_diffusion_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
) -> generative.GenerativeLearner:
    """Minimizes the squared error of the noise predicted in x_t, t uniform in (0, 1].

    That is SfBC's E |sigma_t s(x_t, t, s) + z|^2, where the score is the noise over
    -sigma_t. Observations come in normalized.
    """

    def losses(
        predict: Callable[[Array], Array], action: Array, noise: Array, time: Array
    ) -> Array:
        predicted = predict(diffusion.noised(action, noise, time))
        return jnp.sum((predicted - noise) ** 2, axis=-1)

    return generative.make_learner(
        spec,
        optimizer,
        bundle.from_module(ScoreNetwork(hidden_sizes, spec.action_size)),
        losses=losses,
        solve=diffusion.dpm_solver,
        least_time=1e-5,
    )
