"""A block of a causal transformer."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gem_jax.networks import linear
from gem_jax.types import Array

INIT = nn.initializers.normal(0.02)
_EXPANSION = 4  # width inside the perceptron over its width outside
_EPSILON = 1e-5


def layer_norm() -> nn.LayerNorm:
    """With a learned scale and shift, to be called in a module's compact method."""
    return nn.LayerNorm(epsilon=_EPSILON)


class CausalAttention(nn.Module):
    """Each token takes in itself and those before it; `[..., T, W]` to the same.

    Attributes:
      num_heads: which divide W.
      dropout: share of the weights that training leaves out.
    """

    num_heads: int
    dropout: float

    @nn.compact
    def __call__(self, x: Array, *, training: bool) -> Array:
        *rest, count, width = x.shape
        size = width // self.num_heads
        # Their joint matrix is drawn as one, so that each is smaller than if alone.
        xavier = nn.initializers.xavier_uniform()
        joint = linear.of_rows(3 * width, kernel_init=xavier)(x)
        joint = joint.reshape(*rest, count, 3, self.num_heads, size)
        query, key, content = (joint[..., i, :, :] for i in range(3))
        logits = jnp.einsum("...qhd,...khd->...hqk", query, key) / math.sqrt(size)
        before = jnp.tril(jnp.ones((count, count), bool))
        before = jnp.broadcast_to(before, logits.shape)
        weights = jax.nn.softmax(jnp.where(before, logits, -jnp.inf))
        weights = nn.Dropout(self.dropout, deterministic=not training)(weights)
        mixed = jnp.einsum("...hqk,...khd->...qhd", weights, content)
        return linear.of_rows(width, kernel_init=INIT)(mixed.reshape(x.shape))


class Block(nn.Module):
    """Attention and a perceptron, each of normalized inputs and added to them.

    Attributes:
      num_heads: of the attention.
      attention_dropout: of its weights.
      residual_dropout: of what is added.
    """

    num_heads: int
    attention_dropout: float
    residual_dropout: float

    @nn.compact
    def __call__(self, x: Array, *, training: bool) -> Array:
        drop = nn.Dropout(self.residual_dropout, deterministic=not training)
        attend = CausalAttention(self.num_heads, self.attention_dropout)
        x = x + drop(attend(layer_norm()(x), training=training))
        width = x.shape[-1]
        y = linear.of_rows(_EXPANSION * width, kernel_init=INIT)(layer_norm()(x))
        y = linear.of_rows(width, kernel_init=INIT)(jax.nn.gelu(y, approximate=False))
        return x + drop(y)
