"""SAC-N (An et al., 2021): soft actor-critic by the lowest of N critics."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _sac
from gem_jax.algorithms._sac import Config as Config
from gem_jax.types import EnvSpec

# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6, batch_size=8, hidden_sizes=(16,), num_critics=3
)


def data_options(config: Config, task: Any) -> Mapping[str, Any]:
    """Rewards as recorded, as in the reference."""
    del config, task
    return {"reward_transform": "identity"}


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""
    return _sac.make(config, spec)
