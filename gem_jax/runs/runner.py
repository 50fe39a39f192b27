"""One run from settings to summary: data, training, evaluations, checkpoints, files."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import pathlib
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import numpy as np

from gem_jax import algorithms, data, errors
from gem_jax.algorithm import Algorithm
from gem_jax.runs import (
    candidate_memory,
    candidate_time,
    departures,
    fitting,
    going_online,
    run_record,
    steps_of_targets,
    training_memory,
)
from gem_jax.training import checkpoint, evaluation, interrupt, loop, rundir
from gem_jax.types import EnvSpec, Transition
from gem_jax.utils import locks


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
        # Whoever begins another attempt, and not whoever finds it under way.
        (run.workdir / rundir.FAILURE).unlink(missing_ok=True)
        _train(run, log, show_progress)


class _Loaded(NamedTuple):
    """Attributes:
    run: with what the data told.
    dataset: as it comes.
    recorded: its transitions.
    transitions: with the steps that targets span.
    algorithm: bound to its sizes.
    record: content of config.json.
    """

    run: run_record.Run
    dataset: data.OfflineDataset
    recorded: Transition
    transitions: Transition
    algorithm: Algorithm
    record: dict[str, Any]


def _train(
    run: run_record.Run, log: Callable[[str], None], show_progress: bool
) -> None:
    began = time.perf_counter()
    departures.announce(run, log)
    loaded = _load(run, log, show_progress)
    run = loaded.run
    keys = loop.seed_keys(run.seeds)
    algorithm, transitions = loaded.algorithm, loaded.transitions

    def chunks(
        restored: checkpoint.Restored, size: Callable[[], int]
    ) -> Iterator[loop.Chunk]:
        return loop.run(
            algorithm,
            keys,
            transitions,
            restored.state,
            start_step=restored.step,
            steps_per_dispatch=size,
        )

    stage = fitting.Stage(
        dataclasses.replace(run, online=None),
        algorithm,
        loaded.record,
        lambda: checkpoint.Restored(0, loop.init_once(algorithm, keys)),
        chunks,
    )
    run_stage = functools.partial(_run_stage, loaded.dataset, log, show_progress)
    run_stage(stage, began)
    if run.online is not None:
        online_run = going_online.make_stage(
            run,
            algorithm,
            loaded.record,
            loaded.recorded,
            loaded.dataset.provenance,
            log,
        )
        run_stage(online_run, time.perf_counter())


def _load(
    run: run_record.Run, log: Callable[[str], None], show_progress: bool
) -> _Loaded:
    """Data and algorithm, and whether they suit each other and the machine."""
    dataset = data.load(
        run.task,
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
        action_low=run.task.action_low,
        action_high=run.task.action_high,
    )
    algorithm = algorithms.make(run.algo, run.config, spec)
    going_online.require(run, algorithm)
    _require_recorded(run, algorithm, dataset.provenance)
    episode: Any = dataset.episode_id.astype(np.int32)
    recorded = dataset.transitions._replace(extras={"episode": episode})
    run = steps_of_targets.told(run, algorithm, recorded, log)
    transitions = steps_of_targets.spanned(run, algorithm, recorded)
    algorithm.check(transitions, log)
    _require_candidates(run, algorithm, spec, log)
    record = run_record.describe(run, spec, dataset.provenance)
    record["identity"] = run_record.check_identity(run.workdir, record)
    return _Loaded(run, dataset, recorded, transitions, algorithm, record)


def _run_stage(
    dataset: data.OfflineDataset,
    log: Callable[[str], None],
    show_progress: bool,
    stage: fitting.Stage,
    began: float,
) -> None:
    """Trains to the end of a stage, unless it is there, and writes its folder."""
    run, algorithm = stage.run, stage.algorithm
    like = jax.eval_shape(lambda: loop.init(algorithm, loop.seed_keys(run.seeds)))
    free = candidate_memory.free_bytes()
    training_memory.require(like, run.config, len(run.seeds), free)
    with (
        _evaluator(run, algorithm) as evaluate,  # before the folder holds anything
        checkpoint.open_store(run.workdir, stage.record["identity"], log=log) as store,
        interrupt.watch(raising=False) as stop,
    ):
        stop.expendable = True  # until there is something that the disk has not
        restored = checkpoint.restore(store, like, rest=stage.rest)
        if restored is None:
            rundir.write_json(run.workdir / rundir.CONFIG, stage.record)
            used = len(dataset.transitions.reward)
            origin = dataset.provenance.to_dict() | {"num_used": used}
            origin["n_step"] = run.data.n_step
            rundir.write_json(run.workdir / rundir.DATASET, origin)
            restored = stage.begin()
        elif run_record.complete(run.workdir, restored.step, algorithm.num_steps):
            log(f"{run.workdir} is complete; nothing to do")
            return
        else:
            log(f"continuing from update {restored.step}")
            run_record.lengthen(run.workdir, stage.record)
        for name in (rundir.METRICS, rundir.EVAL):
            rundir.forget_after(run.workdir / name, restored.step)
        began -= restored.notes.get("seconds", _seconds_so_far(run.workdir))
        context = stage, store, restored, evaluate, stop, began
        fitting.fit(*context, show_progress=show_progress, log=log)
    summary = run_record.summarize(run, dataset, time.perf_counter() - began)
    rundir.write_json(run.workdir / rundir.SUMMARY, summary)
    log(f"{run_record.headline(summary)}; everything is in {run.workdir}")


def _evaluator(
    run: run_record.Run, algorithm: Algorithm
) -> contextlib.AbstractContextManager[Callable[..., list[evaluation.EvalResult]]]:
    if run.task.env_id is None:  # and no evaluation will be due
        return contextlib.nullcontext(lambda *_: [])
    return evaluation.make_evaluator(run.task, algorithm)


def _require_recorded(
    run: run_record.Run, algorithm: Algorithm, provenance: data.Provenance
) -> None:
    """Refuses changed rewards where acting would compare them with unchanged ones."""
    rewards = provenance.rewards
    assert rewards is not None  # loaded
    if algorithm.recorded_rewards and (rewards.scale, rewards.shift) != (1.0, 0.0):
        raise errors.UserError(
            f"{run.algo} acts by the environment's rewards and trains on them as "
            f"recorded, not on {rewards.scale:g} * reward + {rewards.shift:g}; give "
            "--reward_transform=identity"
        )


def _require_candidates(
    run: run_record.Run,
    algorithm: Algorithm,
    spec: EnvSpec,
    log: Callable[[str], None],
) -> None:
    """Refuses what evaluations could not hold, and says what would take them long."""
    if run.task.env_id is None:
        return
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


def _seconds_so_far(workdir: pathlib.Path) -> float:
    rows = rundir.read_lines(workdir / rundir.METRICS)
    return rows[-1]["seconds"] if rows else 0.0
