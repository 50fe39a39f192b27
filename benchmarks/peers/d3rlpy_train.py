"""Trains one policy by d3rlpy. Runs in d3rlpy's environment, without gem_jax.

python -m benchmarks.peers.d3rlpy_train --settings=FILE.json --seed=0 --output=FILE.npz
"""

from __future__ import annotations

import argparse
import json
import os
import pathlib
import time
from typing import Any

import d3rlpy
import h5py
import numpy as np
import torch

_PROBES = 64  # states whose actions the other side compares


def main() -> None:
    """Writes the policy's weights and how long its training took."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--settings", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--output", type=pathlib.Path, required=True)
    flags = parser.parse_args()
    settings = json.loads(flags.settings.read_text())
    d3rlpy.seed(flags.seed)
    data = flags.settings.parent / settings["data"]
    dataset, observations = _dataset(data, settings)
    learner = _config(settings).create(device="cpu:0")
    learner.build_with_dataset(dataset)
    seconds = _train(learner, dataset, settings)
    probes = observations[:: len(observations) // _PROBES][:_PROBES]
    _save(
        flags.output,
        **_weights(learner.impl.policy),
        probe_observation=probes,
        probe_action=learner.predict(probes),
        seconds=seconds,
        versions=np.str_(f"d3rlpy {d3rlpy.__version__}, torch {torch.__version__}"),
    )


def _train(learner: Any, dataset: Any, settings: dict[str, Any]) -> np.ndarray:
    """All gradient steps; returns the seconds of each chunk of them."""
    batch_size, chunk = settings["peer"]["arguments"]["batch_size"], settings["chunk"]
    seconds = []
    for _ in range(0, settings["steps"], chunk):
        start = time.perf_counter()
        for _ in range(chunk):
            learner.update(dataset.sample_transition_batch(batch_size))
        seconds.append(time.perf_counter() - start)
    return np.array(seconds)


def _dataset(path: pathlib.Path, settings: dict[str, Any]) -> tuple[Any, np.ndarray]:
    """d3rlpy's dataset, rewards transformed, and the observations `[N, O]`."""
    with h5py.File(path) as file:
        names = ("observations", "actions", "rewards", "terminals", "timeouts")
        arrays = {name: file[name][()].astype(np.float32) for name in names}
    rewards = arrays["rewards"] * settings["reward_scale"] + settings["reward_shift"]
    arrays["rewards"] = rewards.astype(np.float32)
    return d3rlpy.dataset.MDPDataset(**arrays), arrays["observations"]


def _config(settings: dict[str, Any]) -> Any:
    peer, chosen = settings["peer"], dict(settings["peer"]["arguments"])
    for name, network in peer["encoders"].items():
        chosen[name] = d3rlpy.models.encoders.VectorEncoderFactory(**network)
    for name in peer["decaying"]:
        decay = d3rlpy.optimizers.CosineAnnealingLRFactory(T_max=settings["steps"])
        chosen[name] = d3rlpy.optimizers.AdamFactory(lr_scheduler_factory=decay)
    if settings["observation"]:
        chosen["observation_scaler"] = d3rlpy.preprocessing.StandardObservationScaler(
            **{name: np.array(row) for name, row in settings["observation"].items()}
        )
    return getattr(d3rlpy.algos, peer["config"])(**chosen)


def _weights(policy: Any) -> dict[str, np.ndarray]:
    """``kernel0`` `[in, out]`, ``bias0`` `[out]` and so on; the log-std is left out."""
    layers = [*policy._encoder.modules(), getattr(policy, "_mu", None) or policy._fc]
    linear = [layer for layer in layers if isinstance(layer, torch.nn.Linear)]
    arrays = {}
    for i, layer in enumerate(linear):
        arrays[f"kernel{i}"] = layer.weight.detach().numpy().T
        arrays[f"bias{i}"] = layer.bias.detach().numpy()
    return arrays


def _save(path: pathlib.Path, **arrays: Any) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}.npz")
    np.savez(temporary, **arrays)
    os.replace(temporary, path)


if __name__ == "__main__":
    main()
