"""EDAC (An et al., 2021): SAC-N whose critics are kept from sloping alike."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gem_jax import checks
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import _sac
from gem_jax.algorithms.sac_n import data_options as data_options
from gem_jax.types import Array, EnvSpec, Params, Transition

_LEAST_SQUARE = 1e-20  # of a slope, so that one of 0 has a gradient


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config(_sac.Config):
    """SAC-N's settings, and

    Attributes:
      eta: weight of the cosines between critics' slopes.
    """

    eta: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        checks.not_negative(self, "eta")
        if self.num_critics < 2:
            raise ValueError(f"num_critics must be at least 2, got {self.num_critics}")


# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6, batch_size=8, hidden_sizes=(16,), num_critics=3
)


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to an environment's sizes."""

    def penalty(
        apply: Callable[..., Array], batch: Transition, params: Params
    ) -> Array:
        """eta / (N - 1) sum_{i != j} <g_i, g_j>, g the unit slopes dQ/da (Eq. 6).

        The reference adds it to the sum of the critics' losses, and this learner's loss
        is their mean: hence 1 / N.
        """

        def total(actions: Array) -> Array:
            """Of all critics, each at its own copy of the actions."""

            def one(member: Params, action: Array) -> Array:
                alone = jax.tree.map(lambda leaf: leaf[None], member)
                return apply(alone, batch.observation, action)[0]

            return jnp.sum(jax.vmap(one)(params, actions))

        copies = jnp.broadcast_to(
            batch.action, (config.num_critics, *batch.action.shape)
        )
        slope = jax.grad(total)(copies)  # [N, B, A]
        square = jnp.sum(slope**2, axis=-1, keepdims=True)
        unit = slope / jnp.sqrt(square + _LEAST_SQUARE)
        # All pairs; those of a critic with itself are N more, which has no gradient.
        pairs = jnp.sum(jnp.sum(unit, axis=0) ** 2, axis=-1)
        cosines = jnp.mean(pairs) / (config.num_critics - 1)
        return config.eta * cosines / config.num_critics

    return _sac.make(config, spec, penalty)
