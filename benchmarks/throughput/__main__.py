"""Updates per second of training, and environment steps per second of evaluation.

Training: the real loop beside the bare jitted scan of its updates, bare products of the
batch's size and installed peers, on synthetic arrays of D4RL's shapes. All take turns
within each repetition, so that a busy moment of the machine meets all of them.

    python -m benchmarks.throughput --methods=gem,iql --output=results/x.json
"""

from __future__ import annotations

import pathlib

from absl import flags

from benchmarks import harness
from benchmarks.throughput import evaluation as throughput_evaluation
from benchmarks.throughput import peers as throughput_peers
from benchmarks.throughput import training as throughput_training
from experiments.lib import cli
from gem_jax import algorithms, errors
from gem_jax.data import tasks
from gem_jax.runs import pacing, presets
from gem_jax.training import rundir

_METHODS = flags.DEFINE_list("methods", algorithms.names(), "Algorithms.")
_ENVS = flags.DEFINE_list(
    "envs", ["hopper-medium-v2", "antmaze-umaze-v2"], "Tasks that give the shapes."
)
_PRESET = flags.DEFINE_enum("preset", "laptop", presets.PRESETS, "Of the settings.")
_SEEDS = flags.DEFINE_list("num_seeds", ["1", "2", "4", "8"], "Seeds side by side.")
_CANDIDATES = flags.DEFINE_list(
    "num_candidates", ["0", "64", "1024"], "N of GEM's evaluation; empty for none."
)
_EPISODES = flags.DEFINE_integer("episodes", 8, "Episodes of an evaluation.", 1)
_CHUNK = flags.DEFINE_integer(
    "steps_per_dispatch", pacing.ENOUGH, "Updates a dispatch.", 1
)
_REPETITIONS = flags.DEFINE_integer("repetitions", 5, "Timed chunks.", 1)
_OUTPUT = flags.DEFINE_string("output", None, "Write JSON here.")


def main(argv: list[str]) -> None:
    """Prints a line for each training and each evaluation."""
    cli.no_arguments(argv)
    cli.require_file("output", _OUTPUT.value)
    counts = harness.whole_numbers("num_seeds", _SEEDS.value, 1)
    candidates = harness.whole_numbers("num_candidates", _CANDIDATES.value, 0)
    if not _ENVS.value:
        raise errors.UserError("--envs is empty; give --envs=NAME,NAME")
    for env in _ENVS.value:
        tasks.of_table(env)
    harness.require_methods(_METHODS.value)
    record = harness.machine() | {"rows": [], "evaluation": []}
    for line in throughput_peers.absent(_METHODS.value):
        print(line)
    for env in _ENVS.value:
        for method in _METHODS.value:
            for num_seeds in counts:
                record["rows"].append(train(env, method, num_seeds))
        for num_candidates in candidates:
            record["evaluation"].append(evaluate(env, num_candidates))
    if _OUTPUT.value:
        rundir.write_json(pathlib.Path(_OUTPUT.value), record)


def train(env: str, method: str, num_seeds: int) -> dict:
    """Measures and prints one training."""
    row = throughput_training.measure(
        env,
        method,
        num_seeds,
        preset=_PRESET.value,
        steps_per_dispatch=_CHUNK.value,
        repetitions=_REPETITIONS.value,
    )
    peers = "".join(
        f", {peer} {row[peer]:.1f}"
        for peer in throughput_peers.available(method)
        if peer in row
    )
    print(
        f"{env:20} {method:5} S={num_seeds}: loop {row['loop']:7.1f}, bare scan "
        f"{row['scan']:7.1f}{peers} updates/s a seed, ratio {row['ratio']:.2f}, "
        f"{row['flops_per_second'] / 1e9:.0f} GFLOP/s, {row['share_of_peak']:.2f} of "
        f"the products' peak, compile {row['compile_seconds']:.1f} s, "
        f"{row['temporary_bytes'] / 1e6:.1f} MB",
        flush=True,
    )
    return row


def evaluate(env: str, num_candidates: int) -> dict:
    """Measures and prints one evaluation."""
    row = throughput_evaluation.measure(
        env, num_candidates, preset=_PRESET.value, episodes=_EPISODES.value
    )
    print(
        f"{env:20} evaluation N={num_candidates}: "
        f"{row['steps_per_second']:.0f} steps/s, physics "
        f"{row['share_physics']:.2f}, policy {row['share_policy']:.2f}, "
        f"Python {row['share_python']:.2f}",
        flush=True,
    )
    return row


if __name__ == "__main__":
    cli.run(main)
