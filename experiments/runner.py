"""One run from settings to summary: data, training, evaluations, checkpoints, files."""

from __future__ import annotations

import math
import pathlib
import time
from collections.abc import Callable, Mapping
from typing import Any

import jax
import numpy as np

from experiments import run_record
from gem_jax import algorithms, data
from gem_jax.algorithm import Algorithm, State
from gem_jax.data import locks, progress
from gem_jax.training import checkpoint, evaluation, interrupt, loop, rundir
from gem_jax.types import EnvSpec, Transition


def train(
    run: run_record.Run, *, resume: str = "auto", log: Callable[[str], None] = print
) -> bool:
    """Trains, evaluates and writes the run folder.

    An interrupt saves a checkpoint and returns; the same call then continues.

    Args:
      run: what to do.
      resume: ``"auto"`` continues a run that is there, ``"never"`` refuses to touch
        one, ``"must"`` refuses to begin one.
      log: takes one line.

    Returns:
      Whether the run is complete; not if it was interrupted.

    Raises:
      UserError: the folder holds another run, or none, or is in use; data or settings
        are unfit.
      FloatingPointError: training diverged; the last checkpoint is finite.
    """
    run_record.check_resume(run.workdir, resume)
    with locks.claim(run.workdir / ".lock", str(run.workdir)):
        return _train(run, log)


def _train(run: run_record.Run, log: Callable[[str], None]) -> bool:
    began = time.perf_counter()
    dataset = data.load(
        run.task.name,
        run.source,
        num_transitions=run.data.num_transitions,
        repair=run.data.repair,
        reward_transform=run.data.reward_transform,
        log=log,
    )
    used = len(dataset.transitions.reward)
    log(f"training on {used:,} of {dataset.provenance.num_transitions:,} transitions")
    spec = EnvSpec(
        run.task.observation_size,
        run.task.action_size,
        run.task.horizon,
        num_transitions=used,
        num_episodes=len(dataset.episode_offsets) - 1,
    )
    algorithm = algorithms.make(run.algo, run.config, spec)
    episode = dataset.episode_id.astype(np.int32)
    transitions = dataset.transitions._replace(extras={"episode": episode})
    algorithm.check(transitions, log)
    record = run_record.describe(run, spec, dataset.provenance)
    run_record.check_identity(run.workdir, record)
    keys = loop.seed_keys(run.seeds)
    with (
        checkpoint.open_store(run.workdir, record["identity"], log=log) as store,
        evaluation.make_evaluator(run.task.env_id, algorithm.act) as evaluate,
        interrupt.stop_requested() as stop,
    ):
        like = jax.eval_shape(lambda: loop.init(algorithm, keys))
        restored = checkpoint.restore(store, like)
        if restored is None:
            rundir.write_json(run.workdir / rundir.CONFIG, record)
            origin = dataset.provenance.to_dict() | {"num_used": used}
            rundir.write_json(run.workdir / rundir.DATASET, origin)
            restored = checkpoint.Restored(0, loop.init(algorithm, keys))
        elif run_record.complete(run.workdir, restored.step, algorithm.num_steps):
            log(f"{run.workdir} is complete; nothing to do")
            return True
        else:
            log(f"continuing from update {restored.step}")
        for name in (rundir.METRICS, rundir.EVAL):
            rundir.forget_after(run.workdir / name, restored.step)
        began -= _seconds_so_far(run.workdir)

        def evaluate_all(state: State, step: int) -> None:
            _evaluate(run, algorithm, evaluate, state, step, stop, log)

        finished = _fit(
            run,
            algorithm,
            store,
            restored,
            transitions,
            evaluate_all,
            stop,
            began,
        )
    if not finished:
        log("interrupted; saved, and the same command continues")
        return False
    summary = run_record.summarize(run, dataset, time.perf_counter() - began)
    rundir.write_json(run.workdir / rundir.SUMMARY, summary)
    score = summary["normalized_score"]
    log(
        f"normalized score {score['mean']:.1f} +- {score['std']:.1f} over "
        f"{len(run.seeds)} seed(s); everything is in {run.workdir}"
    )
    return True


def _fit(
    run: run_record.Run,
    algorithm: Algorithm,
    store: checkpoint.Store,
    restored: checkpoint.Restored,
    dataset: Transition,
    evaluate: Callable[[State, int], None],
    stop: Callable[[], bool],
    began: float,
) -> bool:
    """The chunks and what happens between them; False when stopped early."""
    step, cadence = restored.step, run.cadence
    try:
        if _evaluation_due(
            run, algorithm, step
        ):  # an interrupt may have fallen into it
            evaluate(restored.state, step)
        bar = progress.Progress("training", algorithm.num_steps - step, "updates")
        lap = time.perf_counter()
        for chunk in loop.run(
            algorithm,
            loop.seed_keys(run.seeds),
            dataset,
            restored.state,
            start_step=step,
            chunk_size=cadence.log_every,
        ):
            metrics = jax.device_get(chunk.metrics)  # waits for the device
            now = time.perf_counter()
            rate = (chunk.step - step) / (now - lap)
            _write_metrics(run, chunk, metrics, rate, now - began)
            length, step = chunk.step - step, chunk.step
            bar.add(length)
            due = _evaluation_due(run, algorithm, step)
            saving = _crossed(chunk.phase_step, length, cadence.checkpoint_every)
            if saving or chunk.phase_done or due or stop():
                checkpoint.save(store, step, chunk.state)
            if stop():
                return False
            if due:
                evaluate(chunk.state, step)
            lap = time.perf_counter()
    except evaluation.Cancelled:
        return False
    return True


def _crossed(step: int, length: int, every: int) -> bool:
    """Whether one of the last ``length`` steps is a multiple of ``every``."""
    return step // every > (step - length) // every


def _evaluation_due(run: run_record.Run, algorithm: Algorithm, step: int) -> bool:
    """Whether the last phase has reached an evaluation that is not written yet."""
    begin = algorithm.num_steps - algorithm.phases[-1].num_steps
    written = rundir.read_lines(run.workdir / rundir.EVAL)
    last = max((row["step"] for row in written), default=begin)
    if last >= step:
        return False
    crossed = _crossed(step - begin, step - last, run.cadence.eval_every)
    return crossed or step == algorithm.num_steps


def _evaluate(
    run: run_record.Run,
    algorithm: Algorithm,
    evaluate: Callable[..., evaluation.EvalResult],
    state: State,
    step: int,
    stop: Callable[[], bool],
    log: Callable[[str], None],
) -> None:
    """Evaluates every seed, then writes all their rows at once."""
    cadence = run.cadence
    last = step == algorithm.num_steps
    episodes = cadence.final_episodes if last else cadence.eval_episodes
    rows = []
    for index, seed in enumerate(run.seeds):
        params = algorithm.actor_params(loop.select_seed(state, index))
        [result] = evaluate(
            params, evaluation.seed_key(seed), [algorithm.knobs], episodes, stop
        )
        row = evaluation.to_row(result, run.task, algorithm.knobs)
        rows.append({"step": step, "seed": seed, **row})
    rundir.append_lines(run.workdir / rundir.EVAL, rows)
    scores = [row["normalized_score"] for row in rows]
    listed = ", ".join(f"{score:.1f}" for score in scores)
    log(f"update {step}: normalized score {listed} ({episodes} episodes a seed)")


def _write_metrics(
    run: run_record.Run,
    chunk: loop.Chunk,
    metrics: Mapping[str, Any],
    rate: float,
    seconds: float,
) -> None:
    """A line a seed; stops on the first value that is not finite."""
    rows = []
    for index, seed in enumerate(run.seeds):
        values = {name: float(value[index]) for name, value in metrics.items()}
        for name, value in values.items():
            if not math.isfinite(value):
                raise FloatingPointError(
                    f"{name} became {value} for seed {seed} by update {chunk.step}"
                )
        rows.append(
            {
                "step": chunk.step,
                "phase": chunk.phase,
                "seed": seed,
                "updates_per_second": rate,
                "seconds": seconds,
                **values,
            }
        )
    rundir.append_lines(run.workdir / rundir.METRICS, rows)


def _seconds_so_far(workdir: pathlib.Path) -> float:
    rows = rundir.read_lines(workdir / rundir.METRICS)
    return rows[-1]["seconds"] if rows else 0.0
