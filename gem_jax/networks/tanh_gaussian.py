"""A Gaussian before the tanh that squashes it: the policy of SAC and its kin."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import linear, mlp
from gem_jax.ops.gaussian import Gaussian
from gem_jax.types import Array


class TanhGaussianNetwork(nn.Module):
    """State to a diagonal Gaussian; its tanh is the action.

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
        """`[..., O]` to a Gaussian with batch axes `[...]`, not squashed."""
        trunk = mlp.MLP(self.hidden_sizes)(observation)
        mean = linear.head_near_zero(self.action_size)(trunk)
        log_std = linear.head_near_zero(self.action_size)(trunk)
        return Gaussian(mean, jnp.clip(log_std, self.log_std_min, self.log_std_max))
