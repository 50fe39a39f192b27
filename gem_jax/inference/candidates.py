"""The candidate set: one deterministic anchor and samples from exactly one source."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gem_jax.ops import mixture, normalize
from gem_jax.types import Array, PRNGKey

Sampler = Callable[[PRNGKey, int], Array]  # (key, n) to `[n, A]`

# Strictly inside the box, so that arctanh(a) and log(1 - a^2) of a squashed density are
# finite in float32, whose neighbours of 1 lie 6e-8 below.
BOUND = 1.0 - 1e-6


def propose(
    key: PRNGKey,
    source: mixture.Mixture | Sampler,
    num_candidates: int,
    *,
    anchor: Array | None,
    temperature: Array | float = 1.0,
    denoise_steps: int = 0,
) -> Array:
    """Builds the candidate set of one state (GEM Eq. 1, 5, 7).

    Candidates are clipped to the action box before anything scores them, so that what
    is scored is what would be executed: to its inside, since a squashed density has no
    logarithm on the edge.

    Args:
      key: consumed.
      source: what all samples come from: a mixture without batch axes, or any function
        (key, n) to `[n, A]`, say of a diffusion model.
      num_candidates: N, static.
      anchor: `[A]`, or ``None`` for a set of samples only.
      temperature: factor on the standard deviations of a mixture's samples; a function
        has to see to its own.
      denoise_steps: how many ``ops.mixture.towards_mode`` a mixture's samples take,
        static: one drops most of their noise. 0 is the paper's.

    Returns:
      `[C, A]` in (-1, 1), at least float32, the anchor first; C = N + 1, or N without
      anchor.

    Raises:
      ValueError: the set would be empty, a function gave another shape, the anchor does
        not fit, or a function came with a temperature or with denoising.
    """
    if num_candidates < 0 or (num_candidates == 0 and anchor is None):
        raise ValueError(
            f"num_candidates must be at least {int(anchor is None)}, "
            f"got {num_candidates}"
        )
    parts = [] if anchor is None else [anchor[None]]
    if num_candidates:
        parts.append(_samples(key, source, num_candidates, temperature, denoise_steps))
    if anchor is not None and anchor.shape != parts[-1].shape[1:]:
        raise ValueError(
            f"anchor must be {parts[-1].shape[1:]} to fit the samples, got "
            f"{anchor.shape}"
        )
    candidates = parts[0] if len(parts) == 1 else jnp.concatenate(parts, axis=0)
    return jnp.clip(normalize.at_least_float32(candidates), -BOUND, BOUND)


def _samples(
    key: PRNGKey,
    source: mixture.Mixture | Sampler,
    num_samples: int,
    temperature: Array | float,
    denoise_steps: int,
) -> Array:
    if isinstance(source, mixture.Mixture):
        samples = mixture.sample(key, source, num_samples, temperature=temperature)
        for _ in range(denoise_steps):
            samples = jax.vmap(mixture.towards_mode, (None, 0))(source, samples)
        return samples
    if denoise_steps:
        raise ValueError("denoise_steps is for a mixture; let the sampler denoise")
    if not isinstance(temperature, int | float) or temperature != 1.0:
        raise ValueError("temperature is for a mixture; let the sampler take its own")
    samples = jnp.asarray(source(key, num_samples))
    if samples.ndim != 2 or samples.shape[0] != num_samples:
        raise ValueError(
            f"source must give [{num_samples}, A] samples, got shape {samples.shape}"
        )
    return samples
