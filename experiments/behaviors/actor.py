"""The policy of an sbx SAC model as plain arrays."""

from __future__ import annotations

import pathlib
from typing import Any

import numpy as np

_NAMES = ("hidden_0", "hidden_1", "mean", "log_std")


def arrays(model: Any) -> dict[str, np.ndarray]:
    """The weights of the tanh-Gaussian policy with two hidden ReLU layers, float32.

    Returns:
      `NAME/weight` `[inputs, outputs]` and `NAME/bias` `[outputs]` of the layers
      `hidden_0`, `hidden_1`, `mean` and `log_std`.
    """
    params = model.policy.actor_state.params
    layers = params.get("params", params)  # CrossQ's lack the outer level
    dense = [layers[key] for key in sorted(layers) if key.startswith("Dense")]
    weights = {}
    for name, layer in zip(_NAMES, dense, strict=True):
        weights[f"{name}/weight"] = np.asarray(layer["kernel"], np.float32)
        weights[f"{name}/bias"] = np.asarray(layer["bias"], np.float32)
    return weights


def step_of(path: pathlib.Path) -> int:
    """The training steps in the name of a `policy_STEP.npz` file."""
    return int(path.stem.rpartition("_")[2])
