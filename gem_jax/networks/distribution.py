"""A mixture as a distrax distribution, for users who want its methods.

The only module that imports distrax; the hot paths use ``gem_jax.ops.mixture``, which
samples without drawing every component.
"""

from __future__ import annotations

import distrax
import jax.numpy as jnp

from gem_jax.ops import mixture


def from_mixture(parameters: mixture.Mixture) -> distrax.Distribution:
    """A ``MixtureSameFamily`` with the batch axes of the parameters."""
    return distrax.MixtureSameFamily(
        distrax.Categorical(logits=parameters.logits),
        distrax.MultivariateNormalDiag(parameters.means, jnp.exp(parameters.log_stds)),
    )
