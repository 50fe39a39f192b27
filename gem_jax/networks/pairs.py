"""Perceptrons of a state and an action."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import mlp
from gem_jax.types import Array


def perceptron(
    module: nn.Module,
    observation: Array,
    action: Array,
    outputs: int,
    *,
    hidden_sizes: Sequence[int],
    layer_norm: bool = False,
    dtype: str = "float32",
    activation: str = "relu",
) -> Array:
    """For a module's compact method; `[..., P]`.

    Many actions of one state share the state's part of the first layer: the layer
    multiplies state and actions separately and adds, which equals multiplying their
    concatenation. For pairs one product of the concatenation is faster (1.4 times for
    a whole gradient on a CPU).

    Args:
      module: which gets the parameters.
      observation: `[B, O]`, or `[O]` for actions of one state.
      action: `[B, A]`, or `[C, A]`.
      outputs: P.
      hidden_sizes: width of each hidden layer.
      layer_norm: standardize their outputs.
      dtype: of the hidden layers.
      activation: name of a function of ``jax.nn``.
    """
    width, *rest = hidden_sizes
    size = observation.shape[-1]
    shape = (size + action.shape[-1], width)
    kernel = module.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
    bias = module.param("bias", nn.initializers.zeros, (width,), jnp.float32)
    observation, action, kernel, bias = (
        x.astype(dtype) for x in (observation, action, kernel, bias)
    )
    if action.ndim == observation.ndim:
        x = jnp.concatenate([observation, action], axis=-1) @ kernel
    else:
        x = action @ kernel[size:] + (observation @ kernel[:size])[None]
    x = x + jnp.broadcast_to(bias, x.shape)
    x = mlp.hidden(x, layer_norm, activation)
    x = mlp.MLP(rest, layer_norm, dtype, activation)(x)
    return nn.Dense(outputs, dtype="float32")(x)
