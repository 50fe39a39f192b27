"""Updates per second: the training loop, the bare scan of its updates, and peers."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import harness
from benchmarks.throughput import peers as throughput_peers
from gem_jax import algorithms, configs
from gem_jax.algorithm import Algorithm
from gem_jax.data import tasks
from gem_jax.runs import metric_lines
from gem_jax.training import loop
from gem_jax.types import Transition


def measure(
    env: str,
    method: str,
    num_seeds: int,
    *,
    preset: str,
    steps_per_dispatch: int,
    repetitions: int,
) -> dict[str, Any]:
    """Medians over the repetitions, of the last phase's updates.

    Loop, scan and peers take turns. Rates are those of one seed; FLOP/s count all.
    """
    task = tasks.get(env)
    spec = harness.nominal_spec(task)
    config = configs.get_config(method, task, preset)
    algorithm = algorithms.make(method, config, spec)
    data = harness.synthetic(spec)
    dataset, keys = jax.device_put(data), loop.seed_keys(range(num_seeds))

    start = time.perf_counter()
    chunks = loop_chunks(algorithm, keys, dataset, steps_per_dispatch)
    line = metric_lines.Line({})

    def run_loop() -> None:  # with what a command does after every dispatch
        chunk = next(chunks)
        line.add(jax.device_get(chunk.metrics), range(num_seeds), chunk.step)

    run_loop()
    compile_seconds = time.perf_counter() - start
    scan, carry = bare_scan(algorithm, steps_per_dispatch), loop.init(algorithm, keys)
    data = prepared(algorithm, loop.select_seed(carry, 0), keys[0], dataset)
    dataset = jax.device_put(data)
    program = scan.lower(carry, keys, dataset).compile()

    def run_scan() -> None:
        nonlocal carry
        carry = jax.block_until_ready(scan(carry, keys, dataset))

    batch_size = algorithm.phases[-1].batch_size
    products, product_flops = harness.products(batch_size)
    functions: dict[str, Callable[[], Any]] = {
        "products": products,
        "loop": run_loop,
        "scan": run_scan,
    }
    for peer in throughput_peers.available(method) if num_seeds == 1 else []:
        functions[peer] = throughput_peers.make_updates(
            peer, data, batch_size, steps_per_dispatch
        )
    times = harness.interleaved(functions, calls=repetitions, seconds=np.inf)
    peak = harness.peak(products, product_flops, times.pop("products"))
    rates = {name: steps_per_dispatch / taken for name, taken in times.items()}
    operations = update_flops(algorithm, data)
    achieved = operations * num_seeds * rates["loop"]
    return {
        "env": env,
        "method": method,
        "num_seeds": num_seeds,
        **{name: float(np.median(values)) for name, values in rates.items()},
        "ratio": float(np.median(rates["loop"] / rates["scan"])),
        "compile_seconds": compile_seconds,
        **harness.program_bytes(program),
        "update_flops": operations,
        "flops_per_second": float(np.median(achieved)),
        "matmul_peak": peak,
        "share_of_peak": float(np.median(achieved / peak)),
    }


def loop_chunks(
    algorithm: Algorithm, keys: Any, dataset: Transition, steps_per_dispatch: int
) -> Any:
    """Chunks of the last phase, by the real loop, as many as are asked for."""
    phase = algorithm.phases[-1]._replace(num_steps=2**30)
    last = algorithm._replace(phases=(phase,))
    state = loop.init(last, keys)
    return loop.run(last, keys, dataset, state, steps_per_dispatch=steps_per_dispatch)


def prepared(
    algorithm: Algorithm, state: Any, key: Any, dataset: Transition
) -> Transition:
    """The dataset as updates see it, with the arrays that the last phase attaches."""
    dataset, _ = loop.normalized(dataset)
    _, extras = jax.jit(algorithm.phases[-1].prepare)(state.algorithm, key, dataset)
    return dataset._replace(extras={**dataset.extras, **extras})


def bare_scan(algorithm: Algorithm, steps_per_dispatch: int) -> Any:
    """The same updates and minibatches without the loop around them."""
    phase = algorithm.phases[-1]

    def one_seed(state: Any, key: Any, dataset: Transition) -> Any:
        def step(state: Any, _: None) -> tuple[Any, None]:
            sample_key, update_key = jax.random.split(
                jax.random.fold_in(key, state.step)
            )
            batch = phase.sample(sample_key, dataset, phase.batch_size, state.step)
            new = phase.update(state.algorithm, update_key, batch, state.step)[0]
            return state._replace(step=state.step + 1, algorithm=new), None

        return jax.lax.scan(step, state, length=steps_per_dispatch)[0]

    @functools.partial(jax.jit, donate_argnums=0)
    def all_seeds(state: Any, keys: Any, dataset: Transition) -> Any:
        if keys.shape[0] == 1:
            first, key = jax.tree.map(lambda leaf: leaf[0], (state, keys))
            result = one_seed(first, key, dataset)
            return jax.tree.map(lambda leaf: leaf[None], result)
        return jax.vmap(one_seed, in_axes=(0, 0, None))(state, keys, dataset)

    return all_seeds


def update_flops(algorithm: Algorithm, data: Transition) -> float:
    """Operations of one update of one seed, by the compiler's count."""
    phase = algorithm.phases[-1]
    state = jax.eval_shape(algorithm.init, jax.random.key(0))
    batch = jax.eval_shape(
        lambda key, data: phase.sample(key, data, phase.batch_size, 0),
        *(jax.random.key(0), data),
    )
    update = jax.jit(phase.update)
    step = jnp.int32(0)
    return harness.flops(update.lower(state, jax.random.key(0), batch, step).compile())
