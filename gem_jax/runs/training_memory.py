"""Whether training fits in memory, estimated before anything is allocated."""

from __future__ import annotations

import math
from typing import Any

import jax

from gem_jax import errors

_BYTES = 4  # of a float
_COPIES = 3  # of the state, with its gradients and what replaces it


def require(like: Any, config: Any, num_seeds: int, free: int) -> None:
    """Refuses networks that are too large or too many.

    Args:
      like: shapes of the state of all seeds.
      config: the algorithm's, which gives the sizes of its critics.
      num_seeds: trained side by side.
      free: bytes.

    Raises:
      UserError: the estimate is larger than what is free.
    """
    needed = estimate(like, config, num_seeds)
    if needed > free:
        members = getattr(config, "num_critics", 1)
        raise errors.UserError(
            f"training {num_seeds} seed(s) with {members} critic(s) takes about "
            f"{needed / 1e9:.1f} GB and {free / 1e9:.1f} are free; lower "
            "--config.num_critics, --config.batch_size or --num_seeds"
        )


def estimate(like: Any, config: Any, num_seeds: int) -> int:
    """Bytes: copies of the state, and what a batch leaves in the critics' layers."""
    state = sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(like)
    )
    members = getattr(config, "num_critics", 1)
    # Before and after each nonlinearity; what has no such fields is known by its state.
    layers = 2 * sum(getattr(config, "hidden_sizes", ()))
    rows = num_seeds * getattr(config, "batch_size", 0)
    return _COPIES * state + _BYTES * rows * members * layers
