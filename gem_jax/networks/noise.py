"""A perceptron that tells the noise in an action: Diffusion-QL's."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax
import jax.numpy as jnp

from gem_jax.networks import pairs
from gem_jax.networks.score import fourier
from gem_jax.types import Array

_ACTIVATION = "mish"


class NoisePerceptron(nn.Module):
    """Dense layers with Mish, on state, action and the embedded time.

    Attributes:
      hidden_sizes: width of each hidden layer.
      action_size: A.
      embedding_size: of time.
    """

    hidden_sizes: Sequence[int]
    action_size: int
    embedding_size: int = 16

    @nn.compact
    def __call__(self, observation: Array, action: Array, time: Array) -> Array:
        """Predicts noise `[..., A]`.

        Args:
          observation: `[B, O]`, or `[O]` for actions `[C, A]` of one state.
          action: `[B, A]` or `[C, A]`, noisy.
          time: `[B]`, or `[]` for those of one state.
        """
        of_time = jax.nn.mish(nn.Dense(2 * self.embedding_size)(fourier(time)))
        of_time = nn.Dense(self.embedding_size)(of_time)
        context = jnp.concatenate([observation, of_time], axis=-1)
        return pairs.perceptron(
            *(self, context, action, self.action_size),
            hidden_sizes=self.hidden_sizes,
            activation=_ACTIVATION,
        )
