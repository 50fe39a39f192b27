"""The perceptron that every network is built on."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax

from gem_jax.networks import linear
from gem_jax.types import Array


class MLP(nn.Module):
    """Dense layers, nonlinear after each; `[..., in]` to `[..., hidden_sizes[-1]]`.

    Attributes:
      hidden_sizes: width of each layer.
      layer_norm: standardize each layer's output, without learned scale or shift.
      dtype: of the products; parameters stay as they are.
      activation: name of a function of ``jax.nn``.
    """

    hidden_sizes: Sequence[int]
    layer_norm: bool = False
    dtype: str = "float32"
    activation: str = "relu"

    @nn.compact
    def __call__(self, x: Array) -> Array:
        for size in self.hidden_sizes:
            x = nn.Dense(size, dtype=self.dtype)(x)
            x = hidden(x, self.layer_norm, self.activation)
        return x


class Head(nn.Module):
    """The perceptron with a linear layer on top; `[..., in]` to `[..., outputs]`."""

    hidden_sizes: Sequence[int]
    outputs: int

    @nn.compact
    def __call__(self, x: Array) -> Array:
        return linear.head(self.outputs)(MLP(self.hidden_sizes)(x))


def hidden(x: Array, layer_norm: bool, activation: str = "relu") -> Array:
    """What follows the linear part of a hidden layer."""
    x = getattr(jax.nn, activation)(x)
    if layer_norm:
        x = nn.LayerNorm(use_bias=False, use_scale=False)(x)
    return x
