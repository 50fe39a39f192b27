"""Deterministic policies."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import linear, mlp
from gem_jax.types import Array


class DeterministicPolicy(nn.Module):
    """State to an action, `[..., O]` to `[..., A]` in (-1, 1).

    Attributes:
      hidden_sizes: widths of the trunk.
      action_size: A.
      starts_near_zero: so do all its actions, whatever the size of states.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    starts_near_zero: bool = False

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        trunk = mlp.MLP(self.hidden_sizes)(observation)
        head = linear.head_near_zero if self.starts_near_zero else linear.head
        return jnp.tanh(head(self.action_size)(trunk))
