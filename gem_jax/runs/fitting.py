"""A run's chunks of training, and what happens between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax

from gem_jax import errors
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.runs import metric_lines, pacing, run_record
from gem_jax.training import checkpoint, evaluation, interrupt, loop, rundir
from gem_jax.utils import progress


class Stage(NamedTuple):
    """A stretch of training with a run folder of its own.

    Attributes:
      run: with that folder.
      algorithm: whose phases end where the stage ends.
      record: content of config.json.
      begin: what it starts from.
      chunks: trains on from there; the function says how many updates a dispatch.
      block: that number, where it is not for the function to say.
      rest: of the identity under which a step was saved, the shapes of what is kept
        beside the state; nothing for most.
      verb: what it does, for the progress bar.
    """

    run: run_record.Run
    algorithm: Algorithm
    record: dict[str, Any]
    begin: Callable[[], checkpoint.Restored]
    chunks: Callable[[checkpoint.Restored, Callable[[], int]], Iterator[loop.Chunk]]
    block: int | None = None
    rest: checkpoint.Rest | None = None
    verb: str = "training"


def fit(
    stage: Stage,
    store: checkpoint.Store,
    restored: checkpoint.Restored,
    evaluate: Callable[..., list[evaluation.EvalResult]],
    stop: interrupt.Watch,
    began: float,
    *,
    show_progress: bool,
    log: Callable[[str], None],
) -> None:
    """Trains to the end of a stage, with its lines, checkpoints and evaluations.

    Args:
      stage: what to do.
      store: its open checkpoints.
      restored: where to go on.
      evaluate: from ``evaluation.make_evaluator``.
      stop: asked after every dispatch.
      began: of the clock, by which lines count seconds.
      show_progress: on stderr.
      log: takes one line.

    Raises:
      Interrupted: all is saved.
      UserError: an environment failed; all before is saved.
      FloatingPointError: training diverged.
    """
    run, algorithm, schedule = stage.run, stage.algorithm, stage.run.schedule
    step = begin = restored.step
    bar = progress.Progress(
        stage.verb, algorithm.num_steps - step, "updates", show_progress
    )
    line = metric_lines.Line(restored.notes)
    pace = pacing.Pace(schedule.log_every, stage.block)
    phases = {phase.name: phase for phase in algorithm.phases}
    evaluations = _Evaluations(run, algorithm, evaluate, stop, log)
    if evaluations.due(step):  # an interrupt fell into it
        evaluations.add(restored.state, step)

    def save(chunk: loop.Chunk) -> None:
        notes = {**line.notes(), "seconds": time.perf_counter() - began}
        checkpoint.save(store, chunk.step, chunk.state, notes, chunk.rest)
        stop.expendable = True

    lap = lap_of_line = time.perf_counter()
    for chunk in _saved_before_errors(stage.chunks(restored, pace.size), save):
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
            due = evaluations.due(step)
            saving = chunk.phase_done or _crossed(
                chunk.phase_step, line.updates, schedule.checkpoint_every
            )
            line = metric_lines.Line({})
        slow = pace.may_last(phase, chunk.phase_step)
        stopping = stop()  # asked once: a signal may come at any moment
        if saving or due or slow or stopping:
            save(chunk)
        if stopping:
            stop.check()
        if due:
            evaluations.add(chunk.state, step)
        lap = time.perf_counter()
        if not line.updates:
            begin, lap_of_line = step, lap


def _saved_before_errors(
    chunks: Iterator[loop.Chunk], save: Callable[[loop.Chunk], None]
) -> Iterator[loop.Chunk]:
    """The chunks; where an environment fails in one, the one before is saved first."""
    last = None
    try:
        for last in chunks:
            yield last
    except errors.UserError:
        if last is not None:
            save(last)
        raise


def _ends_line(phase: Phase, phase_step: int, log_every: int) -> bool:
    """Whether a line of metrics ends: on a grid that every refresh begins anew."""
    every = phase.refresh_every if phase.refresh else phase.num_steps
    return phase_step == phase.num_steps or phase_step % every % log_every == 0


def _crossed(step: int, length: int, every: int) -> bool:
    """Whether one of the last ``length`` steps is a multiple of ``every``."""
    return step // every > (step - length) // every


class _Evaluations:
    """The evaluations of a run: at steps of its last phase, each once."""

    def __init__(
        self,
        run: run_record.Run,
        algorithm: Algorithm,
        evaluate: Callable[..., list[evaluation.EvalResult]],
        stop: interrupt.Watch,
        log: Callable[[str], None],
    ) -> None:
        """Goes on after those that are written."""
        self._run, self._algorithm, self._evaluate = run, algorithm, evaluate
        self._stop, self._log = stop, log
        self._begin = algorithm.num_steps - algorithm.phases[-1].num_steps
        written = rundir.read_lines(run.workdir / rundir.EVAL)
        self._last = max((row["step"] for row in written), default=self._begin)

    def due(self, step: int) -> bool:
        """Whether the last phase has reached one that is not there."""
        if self._last >= step or self._run.task.env_id is None:
            return False
        every = self._run.schedule.eval_every
        crossed = _crossed(step - self._begin, step - self._last, every)
        return crossed or step == self._algorithm.num_steps

    def add(self, state: loop.State, step: int) -> None:
        """Evaluates every seed, then writes all their rows at once."""
        run, algorithm, schedule = self._run, self._algorithm, self._run.schedule
        last = step == algorithm.num_steps
        episodes = schedule.final_episodes if last else schedule.eval_episodes
        rows = []
        for index, seed in enumerate(run.seeds):
            params = loop.policy_params(algorithm, loop.select_seed(state, index))
            key, knobs = evaluation.seed_key(seed), algorithm.knobs
            try:
                [result] = self._evaluate(params, key, [knobs], episodes, self._stop)
            except evaluation.Cancelled:
                self._stop.check()
                raise
            row = evaluation.to_row(result, run.task, knobs)
            rows.append({"step": step, "seed": seed, **row})
        rundir.append_lines(run.workdir / rundir.EVAL, rows)
        found = evaluation.headline_of_rows(rows)
        self._log(f"update {step}: {found} ({episodes} episodes a seed)")
        self._last = step


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
