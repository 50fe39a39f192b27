"""Networks as pairs of pure functions, and ensembles of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import flax.linen as nn
import jax

from gem_jax.types import Array, Params, PRNGKey


class Network(NamedTuple):
    """A network without its parameters.

    Attributes:
      init: ``(key, *example_inputs) -> params``.
      apply: ``(params, *inputs) -> outputs``.
    """

    init: Callable[..., Params]
    apply: Callable[..., Any]


def from_module(module: nn.Module) -> Network:
    """The pair of functions of a flax module."""
    return Network(module.init, module.apply)


def ensemble(network: Network, num_members: int) -> Network:
    """Independent members on the same inputs.

    Parameters and outputs get a leading axis `E`.
    """

    def init(key: PRNGKey, *inputs: Array) -> Params:
        keys = jax.random.split(key, num_members)
        return jax.vmap(lambda member_key: network.init(member_key, *inputs))(keys)

    def apply(params: Params, *inputs: Array) -> Any:
        return jax.vmap(lambda member: network.apply(member, *inputs))(params)

    return Network(init, apply)
