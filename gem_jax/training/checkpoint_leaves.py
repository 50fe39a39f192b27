"""What a checkpoint says of its content: shapes, dtypes and hashes, leaf by leaf."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import jax
import numpy as np


def by_name(state: Any) -> dict[str, Any]:
    """The leaves by path, in their order.

    What orbax keeps is these alone: a field without arrays, such as an option that is
    off, leaves no trace, so that a later version may have more of them.
    """
    leaves = jax.tree_util.tree_leaves_with_path(state)
    return {
        jax.tree_util.keystr(path, simple=True, separator="."): leaf
        for path, leaf in leaves
    }


def describe(state: Any) -> dict[str, dict[str, Any]]:
    """Shape, dtype and SHA-256 of every leaf, by path."""
    described = {}
    for name, leaf in by_name(jax.device_get(state)).items():
        array = np.asarray(leaf)
        described[name] = {
            "shape": list(array.shape),
            "dtype": str(array.dtype),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
    return described


def digest(meta: Mapping[str, Any]) -> str:
    """SHA-256 of JSON-compatible content."""
    return hashlib.sha256(json.dumps(meta, sort_keys=True).encode()).hexdigest()


def on_this_device(like: Any) -> Any:
    """Shapes with a sharding: without one, orbax insists on the devices of the save."""
    here = jax.sharding.SingleDeviceSharding(jax.devices()[0])
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), like
    )


def first_difference(
    saved: Mapping[str, Any], wanted: Mapping[str, Any]
) -> tuple[str, Any, Any] | None:
    """The first field, in alphabetical order, in which two configurations differ."""
    for name in sorted({*saved, *wanted}):
        there, here = saved.get(name), wanted.get(name)
        if isinstance(there, Mapping) and isinstance(here, Mapping):
            inner = first_difference(there, here)
            if inner is not None:
                return f"{name}.{inner[0]}", inner[1], inner[2]
        elif there != here:
            return name, there, here
    return None
