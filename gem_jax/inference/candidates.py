"""The candidate set: one deterministic anchor and samples from exactly one source."""

from __future__ import annotations

import jax.numpy as jnp

from gem_jax.ops import mixture, normalize
from gem_jax.types import Array, PRNGKey

# Strictly inside the box, so that arctanh(a) and log(1 - a^2) of a squashed density are
# finite in float32, whose neighbours of 1 lie 6e-8 below.
BOUND = 1.0 - 1e-6


def propose(
    key: PRNGKey,
    source: mixture.Mixture,
    num_candidates: int,
    *,
    anchor: Array | None,
    temperature: Array | float = 1.0,
) -> Array:
    """Builds the candidate set of one state (GEM Eq. 1, 5, 7).

    Candidates are clipped to the action box before anything scores them, so that what
    is scored is what would be executed: to its inside, since a squashed density has no
    logarithm on the edge.

    Args:
      key: consumed.
      source: the one mixture that all samples come from, without batch axes.
      num_candidates: N, static.
      anchor: `[A]`, or ``None`` for a set of samples only.
      temperature: factor on the standard deviations of the samples.

    Returns:
      `[C, A]` in (-1, 1), at least float32, the anchor first; C = N + 1, or N without
      anchor.

    Raises:
      ValueError: the set would be empty.
    """
    if num_candidates < 0 or (num_candidates == 0 and anchor is None):
        raise ValueError(
            f"num_candidates must be at least {int(anchor is None)}, "
            f"got {num_candidates}"
        )
    candidates = mixture.sample(key, source, num_candidates, temperature=temperature)
    if anchor is not None:
        candidates = jnp.concatenate([anchor[None], candidates], axis=0)
    return jnp.clip(normalize.at_least_float32(candidates), -BOUND, BOUND)
