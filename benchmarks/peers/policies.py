"""A policy that d3rlpy trained, as an algorithm that our evaluator runs."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import errors
from gem_jax.algorithm import Algorithm, act_by
from gem_jax.data import tasks
from gem_jax.ops import normalize
from gem_jax.types import Array, EnvSpec, Params, PolicyParams

_TOLERANCE = 1e-4  # of actions in [-1, 1] between two libraries' float32


@dataclasses.dataclass(frozen=True)
class Trained:
    """What d3rlpy's side left.

    Attributes:
      algorithm: acts, and cannot be trained.
      params: by which it acts.
      updates_per_second: by the median of its chunks.
      versions: of d3rlpy and torch.
    """

    algorithm: Algorithm
    params: PolicyParams
    updates_per_second: float
    versions: str


def perceptron(layers: Params, observation: Array) -> Array:
    """ReLU layers, and a tanh on the last; every policy compared acts so, `[A]`.

    Args:
      layers: (kernel `[in, out]`, bias `[out]`) of each.
      observation: `[O]`, normalized.
    """
    x = observation
    for kernel, bias in layers[:-1]:
        x = jax.nn.relu(x @ kernel + bias)
    kernel, bias = layers[-1]
    return jnp.tanh(x @ kernel + bias)


def read(path: pathlib.Path, settings: Mapping[str, Any]) -> Trained:
    """Reads a file of ``d3rlpy_train``, and compares actions with those it recorded.

    Args:
      path: of the file.
      settings: what ``d3rlpy_train`` was told.

    Raises:
      UserError: the weights act otherwise than d3rlpy did.
    """
    with np.load(path, allow_pickle=False) as file:
        arrays = dict(file)
    count = sum(name.startswith("kernel") for name in arrays)
    layers = tuple(
        (jnp.asarray(arrays[f"kernel{i}"]), jnp.asarray(arrays[f"bias{i}"]))
        for i in range(count)
    )
    params = PolicyParams(_normalizer(settings["observation"], layers), layers)
    probes = params.normalizer(jnp.asarray(arrays["probe_observation"]))
    action = jax.vmap(lambda row: perceptron(layers, row))(probes)
    error = jnp.max(jnp.abs(action - arrays["probe_action"]))
    if not error <= _TOLERANCE:
        raise errors.UserError(
            f"{path}: its weights act otherwise than d3rlpy did, by {error:.2g}; are "
            "its networks of another kind?"
        )
    sizes = (layers[0][0].shape[0], layers[-1][0].shape[1])
    spec = EnvSpec(*sizes, tasks.get(settings["env"]).horizon)
    return Trained(
        Algorithm(spec, lambda key: (), (), lambda state: state, act_by(perceptron)),
        params,
        settings["chunk"] / float(np.median(arrays["seconds"])),
        str(arrays["versions"]),
    )


def _normalizer(
    observation: Mapping[str, Any] | None, layers: Params
) -> normalize.Normalizer:
    if observation is None:
        return normalize.identity_normalizer(layers[0][0].shape[0])
    mean, std = (jnp.asarray(observation[name]) for name in ("mean", "std"))
    return normalize.Normalizer(mean, std)
