"""What a run may train on: checked once, and converted, before the first update."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import errors
from gem_jax.data import validate
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
_ACTION = 1.0 + validate.ACTION_TOLERANCE
# Closed intervals, and the remedy.
_LIMITS = {
    "observation": (-validate.LARGEST, validate.LARGEST, "rescale that feature"),
    "action": (-_ACTION, _ACTION, "rescale the actions to [-1, 1]"),
    "reward": (-validate.LARGEST, validate.LARGEST, "rescale the rewards"),
    "next_observation": (-validate.LARGEST, validate.LARGEST, "rescale that feature"),
    "terminal": (0.0, 1.0, "it is 1 where the task ended, else 0"),
}
_FINITE = (-jnp.inf, jnp.inf, "")


def admit(dataset: Transition) -> Transition:
    """The dataset on the device, in types that do not depend on the host's settings.

    Args:
      dataset: leaves `[D, ...]` of any number type, on the host or on the device. They
        become float32; whole numbers and flags among the extras stay such, in at most
        32 bits.

    Raises:
      UserError: a leaf is no array of numbers, disagrees with the fields beside it in
        shape or length, is not finite, or is out of range: observations and rewards
        beyond 1e15, actions beyond [-1, 1], terminals beyond [0, 1], whole numbers
        beyond 32 bits. The message names it.
    """
    leaves = {name: _numbers(name, getattr(dataset, name)) for name in _AXES}
    leaves = {name: _cast(leaf, np.float32) for name, leaf in leaves.items()}
    extras = {
        name: _narrow(_extra(name), _numbers(_extra(name), leaf))
        for name, leaf in (dataset.extras or {}).items()
    }
    named = leaves | {_extra(name): leaf for name, leaf in extras.items()}
    _check_shapes(leaves, named)
    admitted = jax.device_put(Transition(**leaves, extras=extras))
    paths = [*_AXES, *(_extra(name) for name in sorted(extras))]
    limits = [_LIMITS.get(name, _FINITE) for name in paths]
    bounds = [limit[:2] for limit in limits]
    good = jax.device_get(_all_within(jax.tree.leaves(admitted), bounds))
    for name, limit, holds in zip(paths, limits, good, strict=True):
        if not holds:
            _refuse(name, named[name], *limit)
    return admitted


def is_real(dtype: Any) -> bool:
    """Whether an array of this type, NumPy's or JAX's, holds real numbers or flags."""
    real = (jnp.bool_, jnp.integer, jnp.floating)
    duration = getattr(dtype, "kind", "") == "m"  # whole numbers, to NumPy
    return not duration and any(jnp.issubdtype(dtype, kind) for kind in real)


def _extra(name: str) -> str:
    return f"extras[{name!r}]"


def _numbers(name: str, leaf: Any) -> _Leaf:
    if not isinstance(leaf, jax.Array):
        leaf = np.asarray(leaf)
    if not is_real(leaf.dtype):
        raise errors.UserError(
            f"dataset.{name} must be an array of real numbers, got {leaf.dtype}"
        )
    return leaf


def _narrow(name: str, leaf: _Leaf) -> _Leaf:
    """What JAX makes of it unless the host asked for 64 bits; floats are float32."""
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return _cast(leaf, np.float32)
    if leaf.dtype.itemsize <= 4:
        return _cast(leaf, leaf.dtype.newbyteorder("="))
    narrow = np.dtype(f"{leaf.dtype.kind}4")
    known = np.iinfo(narrow)
    if leaf.size and not (known.min <= leaf.min() and leaf.max() <= known.max):
        raise errors.UserError(
            f"dataset.{name} has numbers from {leaf.min()} to {leaf.max()}, which "
            f"{narrow} cannot hold; number from 0, or give floats"
        )
    return _cast(leaf, narrow)


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
def _all_within(leaves: list[Array], bounds: list[tuple[float, float]]) -> list[Array]:
    return [
        jnp.all(jnp.isfinite(leaf) & (low <= leaf) & (leaf <= high))
        for leaf, (low, high) in zip(leaves, bounds, strict=True)
    ]


def _refuse(name: str, leaf: _Leaf, low: float, high: float, remedy: str) -> NoReturn:
    leaf = np.asarray(leaf)
    good = np.isfinite(leaf) & (low <= leaf) & (leaf <= high)
    place = np.argwhere(~good)[0].tolist()
    value = leaf[tuple(place)]
    if not np.isfinite(value):
        raise errors.UserError(
            f"dataset.{name}{place} is NaN or infinite in float32; leave out or mend "
            "that transition"
        )
    raise errors.UserError(
        f"dataset.{name}{place} is {value:.6g}, outside [{low:g}, {high:g}]; {remedy}"
    )
