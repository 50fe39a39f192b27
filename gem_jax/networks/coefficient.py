"""A weight of each state, with bounds."""

from __future__ import annotations

import math
from collections.abc import Sequence

import flax.linen as nn
import jax

from gem_jax.types import Array

_SHARE = 2.0 / 3.0  # of the bound, where a fresh network begins


class Coefficient(nn.Module):
    """A state's weight, `[..., O]` to `[...]`, between 0 and 1.5 times ``initial``.

    A fresh network is near ``initial`` everywhere (Luo et al., 2025: Xavier weights,
    and a last bias of ln 2).

    Attributes:
      hidden_sizes: width of each hidden layer.
      initial: positive.
    """

    hidden_sizes: Sequence[int]
    initial: float

    @nn.compact
    def __call__(self, observation: Array) -> Array:
        xavier, x = nn.initializers.xavier_uniform(), observation
        for size in self.hidden_sizes:
            x = jax.nn.relu(nn.Dense(size, kernel_init=xavier)(x))
        bias = nn.initializers.constant(math.log(_SHARE / (1.0 - _SHARE)))
        logit = nn.Dense(1, kernel_init=xavier, bias_init=bias)(x)[..., 0]
        return self.initial / _SHARE * jax.nn.sigmoid(logit)
