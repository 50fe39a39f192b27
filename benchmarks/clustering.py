"""Seconds of one EM epoch of the trajectory clusterer, and its share of the peak.

    python -m benchmarks.clustering --output=results/cpu_clustering.json

E-step and M-step over a million steps of hopper's shape, K policies of three hidden
layers of 256, on synthetic arrays. Bare square products take turns with them.
"""

from __future__ import annotations

import pathlib
from typing import Any

import jax
import numpy as np
from absl import flags

from benchmarks import harness
from experiments.lib import cli
from gem_jax import clustering
from gem_jax.clustering import fitting, likelihood
from gem_jax.data import tasks
from gem_jax.training import rundir
from gem_jax.types import EnvSpec

_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", 1_000_000, "Steps in the data.", lower_bound=10_000
)
_CLUSTERS = flags.DEFINE_integer("num_clusters", 2, "K.", lower_bound=1)
_REPETITIONS = flags.DEFINE_integer("repetitions", 3, "Timed epochs.", lower_bound=2)
_OUTPUT = flags.DEFINE_string("output", None, "Write JSON here.")


def main(argv: list[str]) -> None:
    """Prints a line and writes it."""
    cli.no_arguments(argv)
    cli.require_file("output", _OUTPUT.value)
    row = measure(_TRANSITIONS.value, _CLUSTERS.value, _REPETITIONS.value)
    print(
        f"{row['num_transitions']:,} steps, K = {row['num_clusters']}: E-step "
        f"{row['e_step_seconds']:.2f} s, M-step {row['m_step_seconds']:.2f} s, "
        f"{row['flops_per_second'] / 1e9:.0f} GFLOP/s, "
        f"{row['share_of_peak']:.2f} of the products' peak"
    )
    if _OUTPUT.value:
        rundir.write_json(pathlib.Path(_OUTPUT.value), harness.machine() | row)


def measure(num_transitions: int, num_clusters: int, repetitions: int) -> dict:
    """Medians over the repetitions; operations are the compiler's counts."""
    settings = clustering.Settings(num_clusters=num_clusters)
    task = tasks.get("hopper-medium-v2")
    spec = EnvSpec(
        task.observation_size,
        task.action_size,
        task.horizon,
        num_transitions=num_transitions,
        num_episodes=num_transitions // task.horizon,
    )
    steps = harness.synthetic(spec)
    data = jax.device_put(
        clustering.Trajectories(
            steps.observation, steps.action, steps.extras["episode"]
        )
    )
    clusterer = clustering.make(
        settings,
        spec.observation_size,
        spec.action_size,
        spec.num_episodes,
        spec.num_transitions,
    )
    state = jax.jit(clusterer.init)(jax.random.key(0))
    e_step = jax.jit(clusterer.e_step)
    epoch = fitting.make_epoch(clusterer, settings)

    def run_m_step() -> None:
        nonlocal state
        state, _ = jax.block_until_ready(
            epoch(state, jax.random.key(1), data, classify=True)
        )

    work = operations(clusterer, settings, data)
    products, product_flops = harness.products()
    times = harness.interleaved(
        {
            "products": products,
            "e_step": lambda: jax.block_until_ready(e_step(state, data)),
            "m_step": run_m_step,
        },
        calls=repetitions,
        seconds=np.inf,
    )
    peak = harness.peak(products, product_flops, times["products"])
    achieved = work / (times["e_step"] + times["m_step"])
    return {
        "num_transitions": num_transitions,
        "num_clusters": num_clusters,
        "hidden_sizes": settings.hidden_sizes,
        "e_step_seconds": float(np.median(times["e_step"])),
        "m_step_seconds": float(np.median(times["m_step"])),
        "epoch_flops": work,
        "flops_per_second": float(np.median(achieved)),
        "matmul_peak": peak,
        "share_of_peak": float(np.median(achieved / peak)),
    }


def operations(
    clusterer: clustering.Clusterer,
    settings: clustering.Settings,
    data: clustering.Trajectories,
) -> float:
    """Of an epoch: the classifier learns beside the policies, as in ``fit``.

    The compiler counts a loop's body once, so one chunk and one batch are scaled up.
    """
    size = len(data.action)
    state = jax.eval_shape(clusterer.init, jax.random.key(0))

    def count(function: Any, first: Any, rows: int) -> float:
        part = jax.tree.map(lambda leaf: leaf[:rows], data)
        compiled = jax.jit(function).lower(first, part).compile()
        return harness.flops(compiled) * size / rows

    return (
        count(
            clusterer.responsibilities,
            state.target_policies,
            likelihood.CHUNK_SIZE,
        )
        + count(clusterer.m_step, state, settings.batch_size)
        + count(clusterer.classify_step, state, settings.batch_size)
    )


if __name__ == "__main__":
    cli.run(main)
