"""One method on one task, trained by both libraries and evaluated by ours."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from benchmarks.peers import policies, settings
from benchmarks.throughput import training as throughput_training
from experiments.lib import csv_rows, reevaluation
from gem_jax import algorithms, data, errors
from gem_jax.data import tasks
from gem_jax.ops import normalize
from gem_jax.runs import resolve, run_record, runner
from gem_jax.training import evaluation, loop, rundir
from gem_jax.types import EnvSpec

COLUMNS = (
    "env",
    "method",
    "library",
    "seed",
    "steps",
    "episodes",
    "normalized_score",
    "return_mean",
    "length_mean",
    "updates_per_second",
)
LIBRARIES = OURS, PEER = "gem_jax", "d3rlpy"
CHUNK, _TIMED = 100, 5  # gradient steps of a chunk, and chunks at a time
Row = Mapping[str, Any]


class Cell(NamedTuple):
    """Attributes:
    run: our side of it.
    folder: of the task; holds the data and what d3rlpy's side reads and writes.
    interpreter: Python of d3rlpy's environment.
    episodes: of every seed's evaluation.
    """

    run: run_record.Run
    folder: pathlib.Path
    interpreter: str
    episodes: int

    @property
    def settings_file(self) -> pathlib.Path:
        return self.folder / f"{self.run.algo}.json"


def make_cell(
    env: str,
    method: str,
    file: pathlib.Path,
    *,
    seeds: range,
    steps: int,
    batch_size: int,
    interpreter: str,
    episodes: int,
) -> Cell:
    """The comparison of one method, at the ``paper`` preset's settings otherwise.

    Args:
      env: name of the task.
      method: one of ``settings.PEERS``.
      file: of the data, in the folder that takes everything else.
      seeds: trained by both.
      steps: gradient steps.
      batch_size: transitions a step.
      interpreter: Python of d3rlpy's environment.
      episodes: of every seed's evaluation.
    """
    changes = {**settings.require(method).fixed}
    changes |= {"num_steps": steps, "batch_size": batch_size}
    run = resolve.resolve(
        env,
        method,
        "paper",
        source=f"file:{file}",
        seeds=seeds,
        workdir=file.parent / method,
        config=changes,
        command="python -m benchmarks.peers compare",
    )
    return Cell(run, file.parent, interpreter, episodes)


def read(path: pathlib.Path, steps: int, episodes: int) -> list[csv_rows.Row]:
    """The rows of the file that are of as many steps and episodes."""
    rows, asked = csv_rows.read(path, COLUMNS), (str(steps), str(episodes))
    return [row for row in rows if (row["steps"], row["episodes"]) == asked]


def complete(path: pathlib.Path, cell: Cell) -> None:
    """Measures a cell, and adds the rows that the file lacks, one by one."""
    run = cell.run
    held = {
        (row["library"], int(row["seed"]))
        for row in read(path, run.config.num_steps, cell.episodes)
        if (row["env"], row["method"]) == (run.task.name, run.algo)
    }
    if held >= set(itertools.product(LIBRARIES, run.seeds)):
        return
    for row in measure(cell):
        if (row["library"], row["seed"]) not in held:
            csv_rows.append(path, COLUMNS, [row])


def measure(cell: Cell) -> Iterator[Row]:
    """Trains what is not trained yet; yields a row a library and seed.

    Our seeds train side by side. Speed is that of one seed, a median of chunks: of
    d3rlpy's training, and of our loop right before and after it.

    Raises:
      UserError: d3rlpy's side failed, or left what cannot be read.
    """
    run = cell.run
    runner.train(run)  # first of all: it refuses a folder with other settings
    dataset = data.load(run.task.name, run.source, run.data, progress=False)
    spec = _spec(run, dataset)
    _write_settings(cell, spec, dataset)
    trained = reevaluation.load(run.workdir)
    (ours,) = reevaluation.evaluate([trained], cell.episodes)
    for seed, own in zip(run.seeds, ours, strict=True):
        path = cell.folder / f"{run.algo}-seed{seed}.npz"
        time_chunks = _chunk_timer(run, spec, dataset)
        times = time_chunks()
        _train_peer(cell, seed, path)
        times += time_chunks()
        yield _row(cell, OURS, seed, own, CHUNK / float(np.median(times)))
        policy = policies.read(path, rundir.read_json(cell.settings_file))
        with evaluation.make_evaluator(run.task, policy.algorithm) as evaluate:
            key = evaluation.seed_key(seed)
            [result] = evaluate(policy.params, key, [()], cell.episodes)
        found = evaluation.to_row(result, run.task, ())
        yield _row(cell, PEER, seed, found, policy.updates_per_second)


def _chunk_timer(
    run: run_record.Run, spec: EnvSpec, dataset: data.OfflineDataset
) -> Callable[[], list[float]]:
    """Compiles the real loop of one seed; a call gives seconds of some chunks."""
    config = dataclasses.replace(run.config, num_steps=CHUNK * (2 * _TIMED + 1))
    algorithm = algorithms.make(run.algo, config, spec)
    episode: Any = dataset.episode_id.astype(np.int32)
    transitions = dataset.transitions._replace(extras={"episode": episode})
    chunks = throughput_training.loop_chunks(
        algorithm, loop.seed_keys([0]), jax.device_put(transitions), CHUNK
    )
    jax.block_until_ready(next(chunks).metrics)

    def time_chunks() -> list[float]:
        times = []
        for _ in range(_TIMED):
            start = time.perf_counter()
            jax.block_until_ready(next(chunks).metrics)
            times.append(time.perf_counter() - start)
        return times

    return time_chunks


def _write_settings(cell: Cell, spec: EnvSpec, dataset: data.OfflineDataset) -> None:
    """What d3rlpy's side reads; anew, since all of it follows from the cell."""
    run, rewards = cell.run, dataset.provenance.rewards
    assert rewards is not None  # loaded
    assert isinstance(run.source, str)  # the file that d3rlpy reads too
    algorithm = algorithms.make(run.algo, run.config, spec)
    observation = None
    if algorithm.normalize_observations:
        fitted = normalize.fit_normalizer(dataset.transitions.observation)
        observation = {"mean": fitted.mean.tolist(), "std": fitted.std.tolist()}
    content = {
        "env": run.task.name,
        "method": run.algo,
        "data": pathlib.Path(run.source.partition(":")[2]).name,
        "data_sha256": dataset.provenance.sha256,
        "steps": run.config.num_steps,
        "chunk": CHUNK,
        "reward_scale": rewards.scale,
        "reward_shift": rewards.shift,
        "observation": observation,
        "ours": vars(run.config),
        "peer": settings.translate(run.algo, run.config),
    }
    rundir.write_json(cell.settings_file, content)


def _train_peer(cell: Cell, seed: int, path: pathlib.Path) -> None:
    """Runs d3rlpy's side in its own environment, unless it has run."""
    if path.exists():
        return
    root = pathlib.Path(__file__).parents[2]
    command = [cell.interpreter, "-m", "benchmarks.peers.d3rlpy_train"]
    command += [f"--settings={cell.settings_file}", f"--seed={seed}"]
    print(f"d3rlpy: {cell.run.task.name}, {cell.run.algo}, seed {seed}", flush=True)
    done = subprocess.run([*command, f"--output={path}"], cwd=root, check=False)
    if done.returncode:
        raise errors.UserError(
            f"{' '.join(command)} ended with {done.returncode}; see above. Its "
            "environment needs benchmarks/peers/requirements.txt"
        )


def _row(cell: Cell, library: str, seed: int, row: Row, rate: float) -> Row:
    origin = {
        "env": cell.run.task.name,
        "method": cell.run.algo,
        "library": library,
        "seed": seed,
        "steps": cell.run.config.num_steps,
        "updates_per_second": f"{rate:.1f}",
    }
    return {name: (origin | dict(row)).get(name) for name in COLUMNS} | origin


def _spec(run: run_record.Run, dataset: data.OfflineDataset) -> EnvSpec:
    task: tasks.Task = run.task
    return EnvSpec(
        task.observation_size,
        task.action_size,
        task.horizon,
        num_transitions=len(dataset.transitions.reward),
        num_episodes=len(dataset.episode_offsets) - 1,
    )
