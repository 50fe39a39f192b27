"""Gaussian policies, one or an ensemble of K."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gem_jax.networks import bundle, linear, mlp
from gem_jax.ops.gaussian import Gaussian
from gem_jax.types import Array, Params


class GaussianNetwork(nn.Module):
    """State to a diagonal Gaussian whose mean lies in (-1, 1).

    Attributes:
      hidden_sizes: widths of the trunk.
      action_size: A.
      log_std_min: lower bound of the log-stds, which depend on the state.
      log_std_max: upper bound.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    log_std_min: float
    log_std_max: float

    @nn.compact
    def __call__(self, observation: Array) -> Gaussian:
        """`[..., O]` to a Gaussian with batch axes `[...]`."""
        trunk = mlp.MLP(self.hidden_sizes)(observation)
        mean = linear.head(self.action_size)(trunk)
        # Begins inside the bounds: beyond them the clip lets no gradient pass.
        start = max(self.log_std_max - 1.0, (self.log_std_min + self.log_std_max) / 2)
        bias = nn.initializers.constant(start)
        log_std = linear.head(self.action_size, bias_init=bias)(trunk)
        return Gaussian(
            jnp.tanh(mean), jnp.clip(log_std, self.log_std_min, self.log_std_max)
        )


def ensemble(network: bundle.Network, num_members: int) -> bundle.Network:
    """Independent members on the same inputs `[B, ...]`, outputs `[K, B, ...]`.

    Like ``bundle.ensemble``, but every member gets a copy of the input: then all layers
    are products of the same form, which a CPU runs 1.2 times as fast for a gradient.
    """

    def apply(params: Params, *inputs: Array) -> Gaussian:
        count = jax.tree.leaves(params)[0].shape[0]
        copies = [jnp.broadcast_to(x, (count, *x.shape)) for x in inputs]
        outputs: Gaussian = jax.vmap(network.apply)(params, *copies)
        return outputs

    return bundle.Network(bundle.ensemble(network, num_members).init, apply)
