"""A tanh-Gaussian policy in NumPy: what SAC trains, without what it was trained by.

Workers that make data need one row at a time, where NumPy answers sooner than any
compiler's dispatch, and start without importing one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

_LOG_STD_BOUNDS = (-20.0, 2.0)  # SAC's
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_NODES, _WEIGHTS = np.polynomial.hermite_e.hermegauss(16)
_WEIGHTS = _WEIGHTS / _WEIGHTS.sum()

Layer = tuple[np.ndarray, np.ndarray]


class PolicyParams(NamedTuple):
    """Weights `[inputs, outputs]` and biases `[outputs]`, float32.

    Attributes:
      hidden: the ReLU layers.
      mean: linear layer of the mean before the tanh.
      log_std: linear layer of the log standard deviation before the tanh.
    """

    hidden: tuple[Layer, ...]
    mean: Layer
    log_std: Layer


def params_from_arrays(arrays: Mapping[str, np.ndarray]) -> PolicyParams:
    """Collects `NAME/weight` and `NAME/bias` of two hidden layers and two heads."""

    def layer(name: str) -> Layer:
        weight, bias = arrays[f"{name}/weight"], arrays[f"{name}/bias"]
        return weight.astype(np.float32), bias.astype(np.float32)

    return PolicyParams(
        (layer("hidden_0"), layer("hidden_1")), layer("mean"), layer("log_std")
    )


def distribution(
    params: PolicyParams, observation: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Mean and log standard deviation before the tanh, `[..., A]` each.

    Args:
      params: weights.
      observation: `[..., O]` float32.
    """
    x = observation
    for weight, bias in params.hidden:
        x = np.maximum(x @ weight + bias, 0.0)
    mean = x @ params.mean[0] + params.mean[1]
    log_std = x @ params.log_std[0] + params.log_std[1]
    return mean, np.minimum(np.maximum(log_std, _LOG_STD_BOUNDS[0]), _LOG_STD_BOUNDS[1])


def sample(
    params: PolicyParams, observation: np.ndarray, noise: np.ndarray
) -> np.ndarray:
    """Actions `[..., A]` in [-1, 1].

    Args:
      params: weights.
      observation: `[..., O]` float32.
      noise: `[..., A]` standard normal; zeros give the mode of the Gaussian.
    """
    mean, log_std = distribution(params, observation)
    action: np.ndarray = np.tanh(mean + np.exp(log_std) * noise)
    return action


def mean(params: PolicyParams, observation: np.ndarray) -> np.ndarray:
    """The expected action `[..., A]`, by Gauss-Hermite quadrature.

    To 0.01 where the standard deviation before the tanh is at most 2.
    """
    center, log_std = distribution(params, observation)
    actions = np.tanh(center[..., None] + np.exp(log_std)[..., None] * _NODES)
    return actions @ _WEIGHTS


def log_prob(mean: np.ndarray, log_std: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """Log-density `[...]` of `tanh(mean + exp(log_std) noise)`, all `[..., A]`.

    Finite where the tanh has rounded to 1: its slope is found before the rounding, as
    log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)).
    """
    u = mean + np.exp(log_std) * noise
    log_slope = 2.0 * (np.log(2.0) - u - np.logaddexp(0.0, -2.0 * u))
    gaussian = -0.5 * noise**2 - log_std - _HALF_LOG_2PI
    result: np.ndarray = np.sum(gaussian - log_slope, axis=-1)
    return result
