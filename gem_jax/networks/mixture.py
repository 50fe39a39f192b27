"""A mixture density network."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import linear, mlp
from gem_jax.ops import mixture
from gem_jax.types import Array


class MixtureNetwork(nn.Module):
    """State to the parameters of a diagonal Gaussian mixture over actions (GEM 1.2).

    Means pass through tanh; the density itself is not squashed. The log-stds are free
    parameters, clipped, so that their gradient is zero outside the bounds (Eq. 49).
    Or they depend on the state, as in LOM.

    Attributes:
      hidden_sizes: widths of the trunk.
      num_components: K; one has all the weight, and no parameters for it.
      action_size: A.
      log_std_min: lower bound of every log-std.
      log_std_max: upper bound.
      state_dependent_scales: whether the log-stds are outputs of the network.
    """

    hidden_sizes: Sequence[int]
    num_components: int
    action_size: int
    log_std_min: float
    log_std_max: float
    state_dependent_scales: bool = False

    @nn.compact
    def __call__(self, observation: Array) -> mixture.Mixture:
        """`[..., O]` to a mixture with batch axes `[...]`."""
        shape = (self.num_components, self.action_size)
        batch_shape = observation.shape[:-1]
        trunk = mlp.MLP(self.hidden_sizes)(observation)
        if self.num_components > 1:
            logits = linear.head(self.num_components)(trunk)
        else:
            logits = jnp.zeros((*batch_shape, 1), jnp.float32)
        means = linear.head(self.num_components * self.action_size)(trunk)
        # Scales as wide as the action box make all components alike, and gradients take
        # thousands of steps to tell them apart. Strictly inside the bounds: on them or
        # beyond, the clip lets no gradient pass.
        low, high = self.log_std_min, self.log_std_max
        start = -1.0 if low < -1.0 < high else (low + high) / 2
        constant = nn.initializers.constant(start)
        if self.state_dependent_scales:
            size = self.num_components * self.action_size
            rho = linear.head(size, bias_init=constant)(trunk)
            rho = rho.reshape(*batch_shape, *shape)
        else:
            rho = self.param("log_stds", constant, shape, jnp.float32)
        log_stds = jnp.clip(rho, low, high)
        return mixture.Mixture(
            logits=logits,
            means=jnp.tanh(means.reshape(*batch_shape, *shape)),
            log_stds=jnp.broadcast_to(log_stds, (*batch_shape, *shape)),
        )
