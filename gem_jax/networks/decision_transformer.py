"""The network of Decision Transformer (Chen et al., 2021)."""

from __future__ import annotations

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import linear, transformer
from gem_jax.types import Array


class DecisionTransformer(nn.Module):
    """Predicts each action of a window from what came before it.

    A step is three tokens, (R, s, a), and each token looks back only. So a window with
    fewer than T steps is filled up behind them, with anything.

    Attributes:
      action_size: A.
      width: W of a token.
      num_layers: blocks.
      num_heads: of each, which divide W.
      num_times: steps of an episode that have an embedding of their own; later ones
        share the last.
      attention_dropout: of the attention's weights.
      residual_dropout: of what a block adds.
      embedding_dropout: of the tokens.
    """

    action_size: int
    width: int
    num_layers: int
    num_heads: int
    num_times: int
    attention_dropout: float
    residual_dropout: float
    embedding_dropout: float

    @nn.compact
    def __call__(
        self,
        return_to_go: Array,
        observation: Array,
        action: Array,
        time: Array,
        *,
        training: bool = False,
    ) -> Array:
        """Actions `[..., T, A]` in (-1, 1); in training a key ``dropout`` is needed.

        Args:
          return_to_go: `[..., T]`, scaled.
          observation: `[..., T, O]`.
          action: `[..., T, A]`; the one of a step has no part in its prediction.
          time: `[..., T]` int32, steps inside the episode.
          training: whether to drop.
        """
        embed = nn.Embed(
            self.num_times, self.width, embedding_init=transformer.INIT, name="time"
        )
        of_time = embed(jnp.minimum(time, self.num_times - 1))
        parts = {
            "return_to_go": return_to_go[..., None],
            "observation": observation,
            "action": action,
        }
        tokens = [
            linear.of_rows(self.width, kernel_init=transformer.INIT, name=name)(part)
            + of_time
            for name, part in parts.items()
        ]
        x = jnp.stack(tokens, axis=-2)  # [..., T, 3, W]
        *rest, count, _, width = x.shape
        x = transformer.layer_norm()(x.reshape(*rest, 3 * count, width))
        x = nn.Dropout(self.embedding_dropout, deterministic=not training)(x)
        for _ in range(self.num_layers):
            x = transformer.Block(
                self.num_heads, self.attention_dropout, self.residual_dropout
            )(x, training=training)
        x = transformer.layer_norm()(x[..., 1::3, :])  # of the states
        head = linear.head(self.action_size, kernel_init=transformer.INIT)
        return jnp.tanh(head(x))
