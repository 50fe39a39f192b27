"""One run from settings to summary: data, training, evaluations, checkpoints, files."""

from __future__ import annotations

import pathlib
import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from gem_jax import algorithms, data, errors
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.runs import (
    candidate_memory,
    candidate_time,
    metric_lines,
    pacing,
    run_record,
    training_memory,
)
from gem_jax.training import (
    checkpoint,
    evaluation,
    interrupt,
    loop,
    n_step,
    rundir,
)
from gem_jax.types import EnvSpec, Transition
from gem_jax.utils import locks, progress


def train(
    run: run_record.Run,
    *,
    resume: str = "auto",
    log: Callable[[str], None] = print,
    show_progress: bool = True,
) -> None:
    """Trains, evaluates and writes the run folder.

    An interrupt saves a checkpoint; the same call then continues.

    Args:
      run: what to do.
      resume: ``"auto"`` continues a run that is there, ``"never"`` refuses to touch
        one, ``"must"`` refuses to begin one.
      log: takes one line.
      show_progress: on stderr.

    Raises:
      Interrupted: SIGINT or SIGTERM arrived, and all is saved.
      UserError: the folder holds another run, or none, or is in use; data or settings
        are unfit.
      FloatingPointError: training diverged; the last checkpoint is finite.
    """
    run_record.check_resume(run.workdir, resume)
    with locks.claim(run.workdir / ".lock", str(run.workdir), log):
        _train(run, log, show_progress)


def _train(
    run: run_record.Run, log: Callable[[str], None], show_progress: bool
) -> None:
    began = time.perf_counter()
    dataset = data.load(
        run.task.name,
        run.source,
        run.data,
        progress=show_progress,
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
    _require_recorded(run, algorithm, dataset.provenance)
    episode: Any = dataset.episode_id.astype(np.int32)
    transitions = dataset.transitions._replace(extras={"episode": episode})
    transitions = _spanned(run, algorithm, transitions)
    algorithm.check(transitions, log)
    _require_candidates(run, algorithm, spec, log)
    record = run_record.describe(run, spec, dataset.provenance)
    run_record.check_identity(run.workdir, record)
    keys = loop.seed_keys(run.seeds)
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    free = candidate_memory.free_bytes()
    training_memory.require(like, run.config, len(run.seeds), free)
    with (
        checkpoint.open_store(run.workdir, record["identity"], log=log) as store,
        evaluation.make_evaluator(run.task.env_id, algorithm) as evaluate,
        interrupt.watch(raising=False) as stop,
    ):
        stop.expendable = True  # until there is something that the disk has not
        restored = checkpoint.restore(store, like)
        if restored is None:
            rundir.write_json(run.workdir / rundir.CONFIG, record)
            origin = dataset.provenance.to_dict() | {"num_used": used}
            origin["n_step"] = run.data.n_step
            rundir.write_json(run.workdir / rundir.DATASET, origin)
            restored = checkpoint.Restored(0, loop.init(algorithm, keys))
        elif run_record.complete(run.workdir, restored.step, algorithm.num_steps):
            log(f"{run.workdir} is complete; nothing to do")
            return
        else:
            log(f"continuing from update {restored.step}")
        for name in (rundir.METRICS, rundir.EVAL):
            rundir.forget_after(run.workdir / name, restored.step)
        began -= restored.notes.get("seconds", _seconds_so_far(run.workdir))

        def evaluate_all(state: loop.State, step: int) -> None:
            _evaluate(run, algorithm, evaluate, state, step, stop, log)

        bar = progress.Progress(
            "training", algorithm.num_steps - restored.step, "updates", show_progress
        )
        context = run, algorithm, store, restored, transitions
        _fit(*context, evaluate_all, stop, began, bar)
    summary = run_record.summarize(run, dataset, time.perf_counter() - began)
    rundir.write_json(run.workdir / rundir.SUMMARY, summary)
    score = summary["normalized_score"]
    log(
        f"normalized score {score['mean']:.1f} +- {score['std']:.1f} over "
        f"{len(run.seeds)} seed(s); everything is in {run.workdir}"
    )


def _spanned(
    run: run_record.Run, algorithm: Algorithm, transitions: Transition
) -> Transition:
    """The transitions with as many steps in each as the run asks for."""
    if run.data.n_step == 1:
        return transitions
    discount = algorithm.n_step_discount
    if discount is None:
        raise errors.UserError(
            f"n_step={run.data.n_step} is not for {run.algo}, whose targets take "
            "single transitions; leave it at 1"
        )
    return n_step.span(transitions, run.data.n_step, discount)


def _require_recorded(
    run: run_record.Run, algorithm: Algorithm, provenance: data.Provenance
) -> None:
    """Refuses changed rewards where acting would compare them with unchanged ones."""
    rewards = provenance.rewards
    assert rewards is not None  # loaded
    if algorithm.recorded_rewards and (rewards.scale, rewards.shift) != (1.0, 0.0):
        raise errors.UserError(
            f"{run.algo} acts by the environment's rewards and trains on them as "
            f"recorded, not on {rewards.scale:g} * reward + {rewards.shift:g}; leave "
            "out --reward_transform, --reward_scale and --reward_shift"
        )


def _require_candidates(
    run: run_record.Run,
    algorithm: Algorithm,
    spec: EnvSpec,
    log: Callable[[str], None],
) -> None:
    """Refuses what evaluations could not hold, and says what would take them long."""
    free, on_cpu = candidate_memory.free_bytes(), jax.default_backend() == "cpu"
    candidate_memory.require(
        algorithm.knobs,
        run.config,
        spec,
        evaluation.MAX_ENVS,
        free,
        on_cpu=on_cpu,
        prefix="--config.",
    )
    schedule = run.schedule
    on_the_way = (algorithm.phases[-1].num_steps - 1) // schedule.eval_every
    episodes = on_the_way * schedule.eval_episodes + schedule.final_episodes
    decisions = len(run.seeds) * episodes * spec.horizon
    candidate_time.announce(decisions, algorithm.knobs, run.config, spec, log)


def _fit(
    run: run_record.Run,
    algorithm: Algorithm,
    store: checkpoint.Store,
    restored: checkpoint.Restored,
    dataset: Transition,
    evaluate: Callable[[loop.State, int], None],
    stop: interrupt.Watch,
    began: float,
    bar: progress.Progress,
) -> None:
    """The chunks and what happens between them."""
    step, schedule = restored.step, run.schedule
    line = metric_lines.Line(restored.notes)
    pace = pacing.Pace(schedule.log_every)
    phases = {phase.name: phase for phase in algorithm.phases}
    evaluated = _last_evaluation(run, algorithm)
    if _evaluation_due(run, algorithm, step, evaluated):  # an interrupt fell into it
        evaluate(restored.state, step)
        evaluated = step
    lap = lap_of_line = time.perf_counter()
    begin = step
    for chunk in loop.run(
        algorithm,
        loop.seed_keys(run.seeds),
        dataset,
        restored.state,
        start_step=step,
        steps_per_dispatch=pace.size,
    ):
        metrics = jax.device_get(chunk.metrics)  # waits for the device
        stop.expendable = False
        now = time.perf_counter()
        phase, length = phases[chunk.phase], chunk.step - step
        pace.took(phase, chunk.phase_step, length, now - lap)
        step = chunk.step
        line.add(metrics, run.seeds, step)
        bar.add(length)
        due = saving = False
        if _ends_line(phase, chunk.phase_step, schedule.log_every):
            rate = (step - begin) / (now - lap_of_line)
            _write_metrics(run, chunk, line, rate, now - began)
            due = _evaluation_due(run, algorithm, step, evaluated)
            saving = chunk.phase_done or _crossed(
                chunk.phase_step, line.updates, schedule.checkpoint_every
            )
            line = metric_lines.Line({})
        slow = pace.may_last(phase, chunk.phase_step)
        stopping = stop()  # asked once: a signal may come at any moment
        if saving or due or slow or stopping:
            notes = {**line.notes(), "seconds": time.perf_counter() - began}
            checkpoint.save(store, step, chunk.state, notes)
            stop.expendable = True
        if stopping:
            stop.check()
        if due:
            evaluate(chunk.state, step)
            evaluated = step
        lap = time.perf_counter()
        if not line.updates:
            begin, lap_of_line = step, lap


def _ends_line(phase: Phase, phase_step: int, log_every: int) -> bool:
    """Whether a line of metrics ends: on a grid that every refresh begins anew."""
    every = phase.refresh_every if phase.refresh else phase.num_steps
    return phase_step == phase.num_steps or phase_step % every % log_every == 0


def _crossed(step: int, length: int, every: int) -> bool:
    """Whether one of the last ``length`` steps is a multiple of ``every``."""
    return step // every > (step - length) // every


def _last_evaluation(run: run_record.Run, algorithm: Algorithm) -> int:
    """The step of the last one written, or where the last phase begins."""
    begin = algorithm.num_steps - algorithm.phases[-1].num_steps
    written = rundir.read_lines(run.workdir / rundir.EVAL)
    return max((row["step"] for row in written), default=begin)


def _evaluation_due(
    run: run_record.Run, algorithm: Algorithm, step: int, evaluated: int
) -> bool:
    """Whether the last phase has reached an evaluation after the ``evaluated`` step."""
    if evaluated >= step:
        return False
    begin = algorithm.num_steps - algorithm.phases[-1].num_steps
    crossed = _crossed(step - begin, step - evaluated, run.schedule.eval_every)
    return crossed or step == algorithm.num_steps


def _evaluate(
    run: run_record.Run,
    algorithm: Algorithm,
    evaluate: Callable[..., list[evaluation.EvalResult]],
    state: loop.State,
    step: int,
    stop: interrupt.Watch,
    log: Callable[[str], None],
) -> None:
    """Evaluates every seed, then writes all their rows at once."""
    schedule = run.schedule
    last = step == algorithm.num_steps
    episodes = schedule.final_episodes if last else schedule.eval_episodes
    rows = []
    for index, seed in enumerate(run.seeds):
        params = loop.policy_params(algorithm, loop.select_seed(state, index))
        try:
            [result] = evaluate(
                params, evaluation.seed_key(seed), [algorithm.knobs], episodes, stop
            )
        except evaluation.Cancelled:
            stop.check()
            raise
        row = evaluation.to_row(result, run.task, algorithm.knobs)
        rows.append({"step": step, "seed": seed, **row})
    rundir.append_lines(run.workdir / rundir.EVAL, rows)
    scores = [row["normalized_score"] for row in rows]
    listed = ", ".join(f"{score:.1f}" for score in scores)
    log(f"update {step}: normalized score {listed} ({episodes} episodes a seed)")


def _write_metrics(
    run: run_record.Run,
    chunk: loop.Chunk,
    line: metric_lines.Line,
    rate: float,
    seconds: float,
) -> None:
    """A line a seed."""
    shared = {"step": chunk.step, "phase": chunk.phase}
    speed = {"updates_per_second": rate, "seconds": seconds}
    rows = [
        {**shared, "seed": seed, **speed, **line.means(index)}
        for index, seed in enumerate(run.seeds)
    ]
    rundir.append_lines(run.workdir / rundir.METRICS, rows)


def _seconds_so_far(workdir: pathlib.Path) -> float:
    rows = rundir.read_lines(workdir / rundir.METRICS)
    return rows[-1]["seconds"] if rows else 0.0
