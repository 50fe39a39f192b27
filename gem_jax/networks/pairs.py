"""Perceptrons of a state and an action."""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import mlp
from gem_jax.types import Array


def perceptron(module: Any, observation: Array, action: Array, outputs: int) -> Array:
    """For a module's compact method; `[..., P]`.

    Many actions of one state share the state's part of the first layer: the layer
    multiplies state and actions separately and adds, which equals multiplying their
    concatenation. For pairs one product of the concatenation is faster (1.4 times for
    a whole gradient on a CPU).

    Args:
      module: with ``hidden_sizes``, ``layer_norm``, ``dtype`` and ``activation``.
      observation: `[B, O]`, or `[O]` for actions of one state.
      action: `[B, A]`, or `[C, A]`.
      outputs: P.
    """
    width, *rest = module.hidden_sizes
    size = observation.shape[-1]
    shape = (size + action.shape[-1], width)
    kernel = module.param("kernel", nn.initializers.lecun_normal(), shape, jnp.float32)
    bias = module.param("bias", nn.initializers.zeros, (width,), jnp.float32)
    observation, action, kernel, bias = (
        x.astype(module.dtype) for x in (observation, action, kernel, bias)
    )
    if action.ndim == observation.ndim:
        x = jnp.concatenate([observation, action], axis=-1) @ kernel
    else:
        x = action @ kernel[size:] + (observation @ kernel[:size])[None]
    x = x + jnp.broadcast_to(bias, x.shape)
    x = mlp.hidden(x, module.layer_norm, module.activation)
    x = mlp.MLP(rest, module.layer_norm, module.dtype, module.activation)(x)
    return nn.Dense(outputs, dtype="float32")(x)
