"""What a run may train on: checked once, and converted, before the first update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import errors
from gem_jax.types import Array, Transition

_Leaf = Any  # an array of NumPy or JAX
# Axes of the fields that every dataset has.
_AXES = {
    "observation": 2,
    "action": 2,
    "reward": 1,
    "next_observation": 2,
    "terminal": 1,
}


def admit(dataset: Transition) -> Transition:
    """The dataset on the device, in types that do not depend on the host's settings.

    Args:
      dataset: leaves `[D, ...]` of any number type, on the host or on the device. They
        become float32; whole numbers and flags among the extras stay such, in at most
        32 bits.

    Raises:
      UserError: a leaf is no array of numbers, disagrees with the fields beside it in
        shape or length, or is not finite. The message names it.
    """
    leaves = {name: _numbers(name, getattr(dataset, name)) for name in _AXES}
    leaves = {name: _cast(leaf, np.float32) for name, leaf in leaves.items()}
    extras = {
        name: _narrow(_numbers(_extra(name), leaf))
        for name, leaf in dataset.extras.items()
    }
    named = leaves | {_extra(name): leaf for name, leaf in extras.items()}
    _check_shapes(leaves, named)
    admitted = jax.device_put(Transition(**leaves, extras=extras))
    finite = jax.device_get(_finite(jax.tree.leaves(admitted)))
    paths = [*_AXES, *(_extra(name) for name in sorted(extras))]
    for name, holds in zip(paths, finite, strict=True):
        if not holds:
            place = np.argwhere(~np.isfinite(named[name]))[0].tolist()
            raise errors.UserError(
                f"dataset.{name}{place} is NaN or infinite in float32; leave out or "
                "mend that transition"
            )
    return admitted


def _extra(name: str) -> str:
    return f"extras[{name!r}]"


def _numbers(name: str, leaf: Any) -> _Leaf:
    if not isinstance(leaf, jax.Array):
        leaf = np.asarray(leaf)
    real = (jnp.bool_, jnp.integer, jnp.floating)
    if not any(jnp.issubdtype(leaf.dtype, kind) for kind in real):
        raise errors.UserError(
            f"dataset.{name} must be an array of real numbers, got {leaf.dtype}"
        )
    return leaf


def _narrow(leaf: _Leaf) -> _Leaf:
    """What JAX makes of it unless the host asked for 64 bits; floats are float32."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return _cast(leaf, np.float32)
    if leaf.dtype.itemsize > 4:
        return _cast(leaf, f"{leaf.dtype.kind}4")
    return _cast(leaf, leaf.dtype.newbyteorder("="))


def _cast(leaf: _Leaf, dtype: Any) -> _Leaf:
    with np.errstate(over="ignore"):  # becomes infinite, and is found below
        return leaf.astype(dtype, copy=False)


def _check_shapes(leaves: Mapping[str, _Leaf], named: Mapping[str, _Leaf]) -> None:
    """Refuses leaves without rows, or of other shapes than their neighbours."""
    for name, axes in _AXES.items():
        if leaves[name].ndim != axes:
            wanted = ("[D]", "[D, size]")[axes - 1]
            raise errors.UserError(
                f"dataset.{name} must be {wanted}, got shape {leaves[name].shape}"
            )
    size, width = leaves["observation"].shape
    if not size:
        raise errors.UserError("dataset.observation has no rows; nothing to train on")
    for name, leaf in named.items():
        rows = leaf.shape[0] if leaf.ndim else 0
        if rows != size:
            raise errors.UserError(
                f"dataset.{name} has {rows} rows, dataset.observation {size}; every "
                "field needs one for each transition"
            )
    if leaves["next_observation"].shape[1] != width:
        raise errors.UserError(
            f"dataset.next_observation has shape {leaves['next_observation'].shape}, "
            f"dataset.observation {(size, width)}"
        )


@jax.jit  # fused: no array of flags the size of the data
def _finite(leaves: list[Array]) -> list[Array]:
    return [jnp.all(jnp.isfinite(leaf)) for leaf in leaves]
