"""A network under training: its parameters and its optimizer's state, arrays only."""

from __future__ import annotations

from typing import Any, NamedTuple

import jax
import optax

from gem_jax.types import Array, Params


class TrainState(NamedTuple):
    """Parameters with their optimizer state.

    Functions stay out of it, so that two states made alike have equal structure and a
    jitted step never retraces.

    Attributes:
      params: a pytree of arrays.
      opt_state: what the optimizer carries for them.
    """

    params: Params
    opt_state: Any


def create(params: Params, optimizer: optax.GradientTransformation) -> TrainState:
    """A state before its first step."""
    return TrainState(params=params, opt_state=optimizer.init(params))


def apply_gradients(
    state: TrainState, grads: Params, optimizer: optax.GradientTransformation
) -> TrainState:
    """One optimizer step."""
    updates, opt_state = optimizer.update(grads, state.opt_state, state.params)
    return TrainState(optax.apply_updates(state.params, updates), opt_state)


def polyak(target: Params, online: Params, rate: Array | float) -> Params:
    """(1 - rate) target + rate online, leaf by leaf (GEM Eq. 62).

    ``optax.incremental_update`` adds the two in the other order, and a compiler that
    fuses a product with the sum then rounds the other product: the last bits differ.
    """
    return jax.tree.map(lambda t, o: (1.0 - rate) * t + rate * o, target, online)
