"""A flow model of the behavior: flow matching, samples by Euler steps."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import optax

from gem_jax.learners import generative
from gem_jax.networks import bundle
from gem_jax.networks.vector_field import VectorField
from gem_jax.ops import flow
from gem_jax.types import Array, EnvSpec


def make_field(spec: EnvSpec, hidden_sizes: tuple[int, ...]) -> bundle.Network:
    """(params, observation, x, time) to velocities; without a time to actions."""
    return bundle.from_module(VectorField(hidden_sizes, spec.action_size))


def make_flow_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
) -> generative.GenerativeLearner:
    """Minimizes ``|v(s, x_t, t) - (a - z)|^2 / A``, x_t between noise z and a.

    As the behavior of FQL and IFQL (Park et al., 2025). Observations are normalized.
    """

    def losses(
        predict: Callable[[Array], Array], action: Array, noise: Array, time: Array
    ) -> Array:
        velocity = predict(flow.between(noise, action, time))
        return jnp.mean((velocity - (action - noise)) ** 2, axis=-1)

    return generative.make_learner(
        spec,
        optimizer,
        make_field(spec, hidden_sizes),
        losses=losses,
        solve=flow.euler,
    )
