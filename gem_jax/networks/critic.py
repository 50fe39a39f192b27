"""Action values and state values."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn

from gem_jax.networks import mlp, pairs
from gem_jax.types import Array


class Critic(nn.Module):
    """Q(s, a).

    Attributes:
      hidden_sizes: width of each hidden layer.
      layer_norm: standardize their outputs.
      dtype: of the hidden layers. The last layer is float32: values far from 0, rounded
        to bfloat16, would lose the differences between the members of an ensemble.
      activation: name of a function of ``jax.nn``.
    """

    hidden_sizes: Sequence[int]
    layer_norm: bool = False
    dtype: str = "float32"
    activation: str = "relu"

    @nn.compact
    def __call__(self, observation: Array, action: Array) -> Array:
        """Pairs `[B, O]`, `[B, A]` to `[B]`; one state `[O]`, `[C, A]` to `[C]`."""
        q = pairs.perceptron(
            *(self, observation, action, 1),
            hidden_sizes=self.hidden_sizes,
            layer_norm=self.layer_norm,
            dtype=self.dtype,
            activation=self.activation,
        )
        return q[..., 0]


class Value(nn.Module):
    """V(s), `[..., O]` to `[...]`."""

    hidden_sizes: Sequence[int]

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        x = mlp.MLP(self.hidden_sizes)(observation)
        return nn.Dense(1)(x)[..., 0]
