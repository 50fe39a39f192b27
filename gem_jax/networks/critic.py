"""Action values and state values."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import mlp
from gem_jax.types import Array


class Critic(nn.Module):
    """Q(s, a).

    Many actions of one state share the state's part of the first layer: the layer
    multiplies state and actions separately and adds, which equals multiplying their
    concatenation. For pairs one product of the concatenation is faster (1.4 times for
    a whole gradient on a CPU).

    Attributes:
      hidden_sizes: width of each hidden layer.
      layer_norm: standardize their outputs.
      dtype: of the hidden layers. The last layer is float32: values far from 0, rounded
        to bfloat16, would lose the differences between the members of an ensemble.
      activation: name of a function of ``flax.linen``.
    """

    hidden_sizes: Sequence[int]
    layer_norm: bool = False
    dtype: str = "float32"
    activation: str = "relu"

    @nn.compact
    def __call__(self, observation: Array, action: Array) -> Array:
        """Pairs `[B, O]`, `[B, A]` to `[B]`; one state `[O]`, `[C, A]` to `[C]`."""
        width, *rest = self.hidden_sizes
        size = observation.shape[-1]
        shape = (size + action.shape[-1], width)
        kernel = self.param(
            "kernel", nn.initializers.lecun_normal(), shape, jnp.float32
        )
        bias = self.param("bias", nn.initializers.zeros, (width,), jnp.float32)
        observation, action, kernel, bias = (
            x.astype(self.dtype) for x in (observation, action, kernel, bias)
        )
        if action.ndim == observation.ndim:
            x = jnp.concatenate([observation, action], axis=-1) @ kernel
        else:
            x = action @ kernel[size:] + (observation @ kernel[:size])[None]
        x = x + jnp.broadcast_to(bias, x.shape)
        x = mlp.hidden(x, self.layer_norm, self.activation)
        x = mlp.MLP(rest, self.layer_norm, self.dtype, self.activation)(x)
        return nn.Dense(1, dtype="float32")(x)[..., 0]


class Value(nn.Module):
    """V(s), `[..., O]` to `[...]`."""

    hidden_sizes: Sequence[int]

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        x = mlp.MLP(self.hidden_sizes)(observation)
        return nn.Dense(1)(x)[..., 0]
