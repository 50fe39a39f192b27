"""Where a flow moves an action, as a function of the state, the action and the time."""

from __future__ import annotations

from collections.abc import Sequence

import flax.linen as nn
import jax.numpy as jnp

from gem_jax.networks import pairs
from gem_jax.types import Array


class VectorField(nn.Module):
    """A velocity in action space, by layers with GELU.

    Attributes:
      hidden_sizes: width of each hidden layer.
      action_size: A.
    """

    hidden_sizes: Sequence[int]
    action_size: int

    @nn.compact
    def __call__(
        self, observation: Array, action: Array, time: Array | None = None
    ) -> Array:
        """Velocities `[..., A]`.

        Args:
          observation: `[B, O]`, or `[O]` for actions `[C, A]` of one state.
          action: `[B, A]` or `[C, A]`.
          time: `[B]`, or `[]` for those of one state; ``None`` for a map that takes
            one step.
        """
        context = observation
        if time is not None:
            context = jnp.concatenate([observation, time[..., None]], axis=-1)
        return pairs.perceptron(
            *(self, context, action, self.action_size),
            hidden_sizes=self.hidden_sizes,
            activation="gelu",
        )
