"""What methods that choose among samples of a generative model have in common."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from gem_jax import checks, inference
from gem_jax.algorithm import ProposeFn
from gem_jax.learners import generative
from gem_jax.types import Array, Params, PRNGKey

STATIC = {"static": True}  # what register_dataclass looks for
_LARGEST_ALPHA = 1e9


def require_counts(knobs: Any, *names: str) -> None:
    """Checks whole numbers of at least 1, and less than 2^31.

    Raises:
      ValueError: names the knob.
    """
    for name in names:
        value = getattr(knobs, name)
        if not isinstance(value, int) or value < 1:
            raise ValueError(
                f"{name} must be a whole number of at least 1, got {value!r}"
            )
        checks.not_too_large(knobs, name)


def require_alpha(knobs: Any) -> None:
    """Checks an inverse temperature: a larger one takes values beyond float32.

    Raises:
      ValueError: names the knob.
    """
    if not 0 <= knobs.alpha <= _LARGEST_ALPHA:
        raise ValueError(
            f"alpha must be between 0 and {_LARGEST_ALPHA:g}, got {knobs.alpha!r}"
        )


def make_propose(behavior: generative.GenerativeLearner) -> ProposeFn:
    """Samples of ``params.behavior``, in T steps each."""

    def propose(
        params: Any, key: PRNGKey, observation: Array, n: int, knobs: Any
    ) -> Array:
        return behavior.sample(
            params.behavior, key, observation, n, knobs.sampling_steps
        )

    return propose


def candidates(
    propose: ProposeFn, params: Params, key: PRNGKey, observation: Array, knobs: Any
) -> Array:
    """N candidates `[N, A]` of one state, inside the box."""

    def sampler(sampler_key: PRNGKey, n: int) -> Array:
        return propose(params, sampler_key, observation, n, knobs)

    return inference.propose(key, sampler, knobs.num_candidates, anchor=None)


def audit(q: Array, selection: inference.Selection) -> Mapping[str, Array]:
    """Of a choice by values `[N]`.

    ``q_above_mean``: its value over the candidates' mean, 0 without any;
    ``bad_candidates``: share that could not be scored or executed; ``bad_set``: 1 where
    that is all of them.
    """
    above_mean = q[selection.best_index] - jnp.mean(q, where=jnp.isfinite(q))
    return {
        # Of a set without values it would be NaN, and so would its mean over steps.
        "q_above_mean": jnp.where(selection.all_bad, 0.0, above_mean),
        "bad_candidates": selection.bad_share,
        "bad_set": selection.all_bad.astype(jnp.float32),
    }
