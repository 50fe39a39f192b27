"""Updates per second: the training loop beside the bare jitted scan of its updates.

Both run on the same synthetic arrays of D4RL's shapes, one after the other within each
repetition, so that a busy moment of the machine meets both.

    python -m benchmarks.throughput --methods=gem,iql --output=benchmarks/results/x.json
"""

from __future__ import annotations

import functools
import pathlib
import platform
import time
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments import cli, configs
from gem_jax import algorithms, errors, sampling
from gem_jax.algorithm import Algorithm
from gem_jax.data import tasks
from gem_jax.training import loop, rundir
from gem_jax.types import EnvSpec, Transition

_METHODS = flags.DEFINE_list("methods", sorted(algorithms.ALGORITHMS), "Algorithms.")
_ENVS = flags.DEFINE_list(
    "envs", ["hopper-medium-v2", "antmaze-umaze-v2"], "Tasks that give the shapes."
)
_PRESET = flags.DEFINE_string("preset", "laptop", "Preset of the settings.")
_SEEDS = flags.DEFINE_list("num_seeds", ["1"], "Seeds side by side.")
_CHUNK = flags.DEFINE_integer("chunk_size", 300, "Updates a dispatch.")
_REPETITIONS = flags.DEFINE_integer("repetitions", 5, "Timed chunks.")
_OUTPUT = flags.DEFINE_string("output", None, "Write JSON here.")
_NUM_TRANSITIONS = 100_000
_EPISODE_STEPS = 1_000


def main(argv: list[str]) -> None:
    """Prints a row for each shape, method and number of seeds."""
    cli.no_arguments(argv)
    rows, counts = [], seed_counts()
    for env in _ENVS.value:
        for method in _METHODS.value:
            for num_seeds in counts:
                row = measure(env, method, num_seeds)
                print(
                    f"{env:20} {method:5} S={num_seeds}: loop {row['loop']:7.1f}, bare "
                    f"scan {row['scan']:7.1f} updates/s a seed, ratio "
                    f"{row['ratio']:.2f}, compile {row['compile_seconds']:.1f} s",
                    flush=True,
                )
                rows.append(row)
    if _OUTPUT.value:
        platform_name = f"{jax.default_backend()} {jax.devices()[0].device_kind}"
        record = {
            "platform": platform_name,
            "processor": platform.machine(),
            "jax": jax.__version__,
            "rows": rows,
        }
        rundir.write_json(pathlib.Path(_OUTPUT.value), record)


def seed_counts() -> list[int]:
    """The numbers of seeds asked for.

    Raises:
      UserError: one is not a positive whole number.
    """
    for text in _SEEDS.value:
        if not text.isdecimal() or int(text) < 1:
            raise errors.UserError(f"--num_seeds takes counts such as 1,4, got {text}")
    return [int(text) for text in _SEEDS.value]


def measure(env: str, method: str, num_seeds: int) -> dict[str, Any]:
    """Medians over the repetitions, of the last phase's updates."""
    task = tasks.get(env)
    config = configs.get_config(method, task, _PRESET.value)
    spec = EnvSpec(
        task.observation_size,
        task.action_size,
        task.horizon,
        num_transitions=_NUM_TRANSITIONS,
        num_episodes=_NUM_TRANSITIONS // _EPISODE_STEPS,
    )
    algorithm = algorithms.make(method, config, spec)
    dataset = jax.device_put(synthetic(spec))
    keys = loop.seed_keys(range(num_seeds))

    start = time.perf_counter()
    chunks = loop_chunks(algorithm, keys, dataset)
    jax.block_until_ready(next(chunks).metrics)
    compile_seconds = time.perf_counter() - start
    scan, carry = bare_scan(algorithm), loop.init(algorithm, keys)
    dataset = prepared(algorithm, loop.select_seed(carry, 0), keys[0], dataset)
    carry = jax.block_until_ready(scan(carry, keys, dataset))

    loop_rates, scan_rates = [], []
    for _ in range(_REPETITIONS.value):
        start = time.perf_counter()
        jax.device_get(next(chunks).metrics)
        middle = time.perf_counter()
        carry = jax.block_until_ready(scan(carry, keys, dataset))
        end = time.perf_counter()
        loop_rates.append(_CHUNK.value / (middle - start))
        scan_rates.append(_CHUNK.value / (end - middle))
    return {
        "env": env,
        "method": method,
        "num_seeds": num_seeds,
        "loop": float(np.median(loop_rates)),
        "scan": float(np.median(scan_rates)),
        "ratio": float(np.median(np.divide(loop_rates, scan_rates))),
        "compile_seconds": compile_seconds,
    }


def loop_chunks(algorithm: Algorithm, keys: Any, dataset: Transition) -> Any:
    """Chunks of the last phase, by the real loop."""
    last = algorithm._replace(phases=algorithm.phases[-1:])
    state = loop.init(last, keys)
    return loop.run(last, keys, dataset, state, chunk_size=_CHUNK.value)


def prepared(
    algorithm: Algorithm, state: Any, key: Any, dataset: Transition
) -> Transition:
    """The dataset with the arrays that the last phase attaches."""
    _, extras = jax.jit(algorithm.phases[-1].prepare)(state, key, dataset)
    return dataset._replace(extras={**dataset.extras, **extras})


def bare_scan(algorithm: Algorithm) -> Any:
    """The same updates and minibatches without the loop around them."""
    phase = algorithm.phases[-1]

    def one_seed(state: Any, key: Any, dataset: Transition) -> Any:
        def step(state: Any, _: None) -> tuple[Any, None]:
            sample_key, update_key = jax.random.split(
                jax.random.fold_in(key, state.step)
            )
            batch = sampling.uniform(sample_key, dataset, phase.batch_size, state.step)
            return phase.update(state, update_key, batch)[0], None

        return jax.lax.scan(step, state, length=_CHUNK.value)[0]

    @functools.partial(jax.jit, donate_argnums=0)
    def all_seeds(state: Any, keys: Any, dataset: Transition) -> Any:
        if keys.shape[0] == 1:
            first = jax.tree.map(lambda leaf: leaf[0], (state, keys))
            result = one_seed(*first, dataset)
            return jax.tree.map(lambda leaf: leaf[None], result)
        return jax.vmap(one_seed, in_axes=(0, 0, None))(state, keys, dataset)

    return all_seeds


def synthetic(spec: EnvSpec) -> Transition:
    """Normal numbers in the shapes of a dataset; they are never called data."""
    rng = np.random.default_rng(0)
    shape = (_NUM_TRANSITIONS, spec.observation_size)
    return Transition(
        observation=rng.standard_normal(shape, np.float32),
        action=rng.uniform(-1, 1, (shape[0], spec.action_size)).astype(np.float32),
        reward=rng.standard_normal(shape[0], np.float32),
        next_observation=rng.standard_normal(shape, np.float32),
        terminal=np.zeros(shape[0], np.float32),
        extras={"episode": np.arange(shape[0], dtype=np.int32) // _EPISODE_STEPS},
    )


if __name__ == "__main__":
    cli.run(main)
