"""A residual network that tells the noise in an action: IDQL's."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import linear
from gem_jax.networks.score import fourier
from gem_jax.types import Array

_EXPANSION = 4  # width inside a block over its width outside


class ResidualNetwork(nn.Module):
    """Blocks of dropout, LayerNorm and two dense layers, each added to its input.

    Attributes:
      width: of the blocks' inputs; half of it embeds the time.
      num_blocks: how many.
      action_size: A.
      dropout: share of a block's inputs that training leaves out.
    """

    width: int
    num_blocks: int
    action_size: int
    dropout: float

    @nn.compact
    def __call__(
        self, observation: Array, action: Array, time: Array, *, training: bool = False
    ) -> Array:
        """Predicts noise `[..., A]`; in training a key ``dropout`` is needed.

        Args:
          observation: `[B, O]`, or `[O]` for actions `[C, A]` of one state.
          action: `[B, A]` or `[C, A]`, noisy.
          time: `[B]`, or `[]` for those of one state.
          training: whether to drop.
        """
        half = self.width // 2
        of_time = nn.silu(nn.Dense(half)(fourier(time)))
        of_time = nn.Dense(half)(of_time)
        context = jnp.concatenate([observation, of_time], axis=-1)
        shift = nn.Dense(self.width, use_bias=False)(context)
        x = nn.Dense(self.width)(action)
        x = x + jnp.broadcast_to(shift, x.shape)
        for _ in range(self.num_blocks):
            y = nn.Dropout(self.dropout, deterministic=not training)(x)
            y = nn.Dense(_EXPANSION * self.width)(nn.LayerNorm()(y))
            x = x + nn.Dense(self.width)(nn.silu(y))
        return linear.head(self.action_size)(nn.silu(x))
