"""Mixtures and Gaussians as distrax distributions, for those who want their methods.

The only module that imports distrax; all others use ``gem_jax.ops``, which samples a
mixture without drawing every component.
"""

from __future__ import annotations

import distrax
import jax.numpy as jnp

from gem_jax.ops.gaussian import Gaussian
from gem_jax.ops.mixture import Mixture


def from_mixture(mixture: Mixture) -> distrax.MixtureSameFamily:
    """The mixture with the same batch axes `[...]` and events `[A]`."""
    return distrax.MixtureSameFamily(
        distrax.Categorical(logits=mixture.logits),
        distrax.MultivariateNormalDiag(mixture.means, jnp.exp(mixture.log_stds)),
    )


def from_gaussian(gaussian: Gaussian) -> distrax.MultivariateNormalDiag:
    """The Gaussian with the same batch axes `[...]` and events `[A]`."""
    return distrax.MultivariateNormalDiag(gaussian.mean, jnp.exp(gaussian.log_std))
