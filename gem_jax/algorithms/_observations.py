"""Observation normalization, fitted once from the dataset."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp

from gem_jax.algorithm import PrepareFn
from gem_jax.ops import normalize
from gem_jax.types import Array, PRNGKey, Transition


def fit_on_entry(enabled: bool) -> PrepareFn:
    """A ``prepare`` that fits ``state.normalizer``, or leaves it the identity."""

    def prepare(
        state: Any, key: PRNGKey, dataset: Transition
    ) -> tuple[Any, Mapping[str, Array]]:
        del key
        if not enabled:
            return state, {}
        fitted = normalize.fit_normalizer(dataset.observation)
        return dataclasses.replace(state, normalizer=fitted), {}

    return prepare


def normalized(normalizer: normalize.Normalizer, batch: Transition) -> Transition:
    """The batch with both observations normalized."""
    return batch._replace(
        observation=normalizer(batch.observation),
        next_observation=normalizer(batch.next_observation),
    )


def next_step(step: Array) -> Array:
    """The counter after one update, of the same type."""
    return step + jnp.ones((), step.dtype)
