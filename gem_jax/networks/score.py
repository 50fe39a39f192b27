"""A network that tells the noise in an action: SfBC's score model."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp
import numpy as np

from gem_jax.networks import linear
from gem_jax.types import Array

_FREQUENCIES = 16  # pairs of sine and cosine
_HIGHEST = 200.0


class ScoreNetwork(nn.Module):
    """A U of dense layers with skip connections, SiLU after each.

    The widths narrow and widen again; each layer also sees the time and the state, both
    embedded. Many noisy actions of one state share what the layers make of the state.

    Attributes:
      hidden_sizes: widths of the narrowing half.
      action_size: A.
      embedding_size: of time, and of the state.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    embedding_size: int = 32

    @nn.compact
    def __call__(self, observation: Array, action: Array, time: Array) -> Array:
        """Predicts noise `[..., A]`.

        Args:
          observation: `[B, O]`, or `[O]` for actions `[C, A]` of one state.
          action: `[B, A]` or `[C, A]`, noisy.
          time: `[B]`, or `[]` for those of one state.
        """
        of_time = nn.silu(nn.Dense(self.embedding_size)(fourier(time)))
        of_state = nn.silu(nn.Dense(self.embedding_size)(observation))
        context = jnp.concatenate([of_time, of_state], axis=-1)

        def layer(x: Array, width: int) -> Array:
            shift = nn.Dense(width, use_bias=False)(context)
            x = nn.Dense(width)(x)
            return nn.silu(x + jnp.broadcast_to(shift, x.shape))

        narrowing, x = [], action
        for width in self.hidden_sizes:
            x = layer(x, width)
            narrowing.append(x)
        for skip in reversed(narrowing[:-1]):
            x = layer(jnp.concatenate([x, skip], axis=-1), skip.shape[-1])
        return linear.head(self.action_size)(jnp.concatenate([x, action], axis=-1))


def fourier(time: Array) -> Array:
    """Sines and cosines of a time in [0, 1], `[...]` to `[..., 32]`."""
    # In float64: an error of the highest frequency would be one of its whole angle.
    frequencies = jnp.asarray(np.geomspace(1.0, _HIGHEST, _FREQUENCIES), jnp.float32)
    angles = time[..., None] * frequencies.reshape((1,) * time.ndim + (-1,))
    return jnp.concatenate([jnp.sin(angles), jnp.cos(angles)], axis=-1)
