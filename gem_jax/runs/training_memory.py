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
        members = getattr(config, "num_critics", 0)
        critics = f" with {members} critic(s)" if members else ""
        fewer = "--config.num_critics, " if members else ""
        raise errors.UserError(
            f"training {num_seeds} seed(s){critics} takes about {needed / 1e9:.1f} GB "
            f"and {free / 1e9:.1f} are free; lower {fewer}--config.batch_size or "
            "--num_seeds"
        )


def estimate(like: Any, config: Any, num_seeds: int) -> int:
    """Bytes: copies of the state, and what a batch leaves in the critics' layers.

    A configuration may say itself, by ``floats_per_row``, what a row of a batch leaves
    in networks of another kind.
    """
    state = sum(
        math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(like)
    )
    members = getattr(config, "num_critics", 1)
    # Before and after each nonlinearity; what has no such fields is known by its state.
    layers = 2 * sum(getattr(config, "hidden_sizes", ()))
    rows = num_seeds * getattr(config, "batch_size", 0)
    other = getattr(config, "floats_per_row", 0)
    return _COPIES * state + _BYTES * rows * (members * layers + other)
