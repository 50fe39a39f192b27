"""Evaluates a trained run again, with the knobs it was trained with or with others."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import pathlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax

from gem_jax import errors, policy, proposing, run_settings
from gem_jax.data import tasks
from gem_jax.data.task import Task
from gem_jax.policy import Policy
from gem_jax.runs import candidate_memory, candidate_time
from gem_jax.training import evaluation, rundir

_EPISODES_AT_A_TIME = 120  # of all settings together; fills one wave of environments


@dataclasses.dataclass(frozen=True)
class Proposer:
    """A run whose policies propose what others choose among.

    Attributes:
      record: its ``config.json``.
      step: of its checkpoint.
      places: which of its seeds proposes for each policy, counted from 0.
    """

    record: dict[str, Any]
    step: int
    places: tuple[int, ...]

    def names(self) -> list[str]:
        """What tells it from others, for each policy."""
        settings, seeds = rundir.settings_hash(self.record), self.record["seeds"]
        return [f"{settings}-{self.step}-{seeds[place]}" for place in self.places]


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run folder, loaded.

    Attributes:
      record: its ``config.json``.
      policies: one a seed, in the order of ``record["seeds"]``.
      proposer: the run that proposes, if it is another.
      other_task: what it is evaluated on, unless that is as its record says.
    """

    record: dict[str, Any]
    policies: tuple[Policy, ...]
    proposer: Proposer | None = None
    other_task: Task | None = None

    @property
    def task(self) -> Task:
        """What it is evaluated on."""
        return self.other_task or tasks.of_run(self.record)

    def on_task(self, path: str) -> TrainedRun:
        """The run in the environment, and by the scores, of a task file.

        Raises:
          UserError: the file holds no task, or one for other policies.
        """
        task, spec = tasks.get(path), self.policies[0].spec
        mine = self.record["env"], spec.observation_size, spec.action_box
        its = task.name, task.observation_size, task.action_box
        if mine != its or spec.action_size != task.action_size:
            raise errors.UserError(
                f"--env={path} is not the run's task {self.record['env']}: its name, "
                "sizes and bounds must agree, its environment and scores need not"
            )
        return dataclasses.replace(self, other_task=task)

    def with_knobs(self, changes: Mapping[str, Any]) -> TrainedRun:
        """The same weights with other knobs.

        Raises:
          UserError: the algorithm has no such knob, a value is out of range, or the
            knob has no effect on another run's proposals.
        """
        if self.proposer is not None:
            for name in proposing.without_effect(changes):
                raise errors.UserError(
                    f"{name} shapes a policy's own samples and has no effect on those "
                    "of --proposer; leave out one of them"
                )
        changed = tuple(one.with_knobs(**changes) for one in self.policies)
        return dataclasses.replace(self, policies=changed)

    def origins(self) -> list[dict[str, Any]]:
        """What tells the rows of this run from others, a seed each."""
        names = ("env", "algo", "source")
        shared = {name: self.record[name] for name in names}
        settings = [rundir.settings_hash(self.record)] * len(self.policies)
        if self.proposer is not None:
            shared["algo"] += f" choosing among {self.proposer.record['algo']}"
            pairs = zip(settings, self.proposer.names(), strict=True)
            settings = [f"{own}-{other}" for own, other in pairs]
        places = zip(self.record["seeds"], self.policies, settings, strict=True)
        return [
            shared | {"settings": name, "step": one.step, "seed": seed}
            for seed, one, name in places
        ]


def load(
    workdir: pathlib.Path,
    checkpoint: int | None = None,
    proposer: pathlib.Path | None = None,
) -> TrainedRun:
    """Loads every seed of a run.

    Args:
      workdir: a run folder.
      checkpoint: a step; the newest when ``None``.
      proposer: another run's folder, whose policies propose what this one's choose
        among: seed by seed, or one for all.

    Raises:
      UserError: there is no such run or checkpoint, or it is damaged, or the two runs
        do not fit.
    """
    policies = policy.load_seeds(workdir, checkpoint)
    record = rundir.read_json(workdir / rundir.CONFIG)
    if proposer is not None:
        return _with_proposer(workdir, policies, proposer, record)
    return TrainedRun(record, policies)


def _with_proposer(
    workdir: pathlib.Path,
    policies: tuple[Policy, ...],
    folder: pathlib.Path,
    record: dict[str, Any],
) -> TrainedRun:
    others = policy.load_seeds(folder)
    other = rundir.read_json(folder / rundir.CONFIG)
    count = len(policies)
    if len(others) not in (1, count):
        raise errors.UserError(
            f"--proposer={folder} has {len(others)} seeds, and --workdir={workdir} "
            f"{count}; it needs as many, or one"
        )
    proposing.require_fit(workdir, folder)
    if other["identity"].get("dataset") != record["identity"].get("dataset"):
        _print(f"note: {folder} and {workdir} were trained on different data")
    places = tuple(range(count)) if len(others) > 1 else (0,) * count
    proposers = [others[place] for place in places]
    joint = proposing.join(workdir, policies, folder, proposers)
    return TrainedRun(record, joint, Proposer(other, others[0].step, places))


def require_one_task(runs: Sequence[TrainedRun]) -> None:
    """Refuses runs whose scores or settings do not belong into one table.

    Raises:
      UserError: names what differs.
    """
    for name in ("env", "algo", "source"):
        values = sorted({run.record[name] for run in runs})
        if len(values) > 1:
            raise errors.UserError(
                f"the runs differ in {name}: {', '.join(values)}; sweep them one by one"
            )
    task = rundir.own_task(runs[0].record)
    if any(rundir.own_task(run.record) != task for run in runs):
        raise errors.UserError(
            f"the runs were made on different tasks named {runs[0].record['env']}; "
            "sweep them one by one"
        )
    seeds = [seed for run in runs for seed in run.record["seeds"]]
    if len(set(seeds)) < len(seeds):
        raise errors.UserError("two runs share a seed; sweep them one by one")


def evaluate(
    runs: Sequence[TrainedRun], episodes: int
) -> Iterator[list[dict[str, Any]]]:
    """Yields a list of rows for each run, a row a seed, in order.

    All runs are of one task; a run with other knobs counts as another. Each runs the
    same episodes with the same random numbers under all of its knobs, those side by
    side that one program can serve. Neighbors with equal settings share the compiled
    programs. Rows have the fields of ``eval.jsonl``, their origin, and the ``returns``
    of all episodes, or successes where these are the score. A line says so beforehand
    if scoring will take long.

    Raises:
      UserError: a run's candidates do not fit in memory, its task names no environment,
        or that fails.
    """
    require_memory(runs)
    _announce_time(runs, episodes)
    size = max(1, _EPISODES_AT_A_TIME // max(1, episodes))
    for _, group in itertools.groupby(runs, _programs):
        alike = list(group)
        task = alike[0].task
        algorithm = alike[0].policies[0].algorithm
        with evaluation.make_evaluator(task, algorithm) as run_episodes:
            for batch in _batches(alike, size):
                yield from _evaluate_batch(run_episodes, batch, task, episodes)


def require_memory(runs: Sequence[TrainedRun]) -> None:
    """Refuses candidates that do not fit.

    Raises:
      UserError: says how much they take, and how much is free.
    """
    on_cpu, free = jax.default_backend() == "cpu", candidate_memory.free_bytes()
    for run in runs:
        config, spec = run_settings.settings(run.record)
        knobs, rows = run.policies[0].knobs, evaluation.MAX_ENVS
        candidate_memory.require(knobs, config, spec, rows, free, on_cpu=on_cpu)
        if run.proposer is None:
            continue
        config, _ = run_settings.settings(run.proposer.record)
        at_once = dataclasses.replace(knobs, chunk_size=knobs.set_size)
        needed = candidate_memory.estimate(at_once, config, spec, rows, on_cpu=on_cpu)
        if needed > free:
            raise errors.UserError(
                f"to propose --num_candidates={knobs.num_candidates} takes about "
                f"{needed / 1e9:.1f} GB and {free / 1e9:.1f} are free; take fewer"
            )


def _programs(run: TrainedRun) -> Any:
    """Runs that are equal in this share compiled programs."""
    other = run.proposer
    settings = rundir.settings_hash(run.record)
    return settings, other and (rundir.settings_hash(other.record), other.step)


def _announce_time(runs: Sequence[TrainedRun], episodes: int) -> None:
    rate = functools.cache(candidate_time.measured_rate)
    by_candidates = sorted(runs, key=_num_candidates)
    for _, group in itertools.groupby(by_candidates, _num_candidates):
        alike = list(group)
        config, spec = run_settings.settings(alike[0].record)
        seeds = sum(len(run.policies) for run in alike)
        decisions, knobs = seeds * episodes * spec.horizon, alike[0].policies[0].knobs
        candidate_time.announce(decisions, knobs, config, spec, _print, rate)


def _num_candidates(run: TrainedRun) -> int:
    return getattr(run.policies[0].knobs, "num_candidates", 0)


def _print(line: str) -> None:
    print(line, flush=True)


def _evaluate_batch(
    run_episodes: Callable[..., list[evaluation.EvalResult]],
    batch: Sequence[TrainedRun],
    task: Task,
    episodes: int,
) -> Iterator[list[dict[str, Any]]]:
    """The rows of one run with several knobs."""
    by_seed = []
    for index, seed in enumerate(batch[0].record["seeds"]):
        knobs = [run.policies[index].knobs for run in batch]
        params, key = batch[0].policies[index].params, evaluation.seed_key(seed)
        by_seed.append(run_episodes(params, key, knobs, episodes))
    for i, run in enumerate(batch):
        rows = [
            origin
            | evaluation.to_row(results[i], task, run.policies[0].knobs)
            | {"returns": results[i].values(task).tolist()}
            for origin, results in zip(run.origins(), by_seed, strict=True)
        ]
        _warn_of_bad(rows)
        yield rows


def _warn_of_bad(rows: Sequence[Mapping[str, Any]]) -> None:
    for row in rows:
        if row.get("bad_candidates"):
            _print(
                f"warning: seed {row['seed']}: {row['bad_candidates']:.2%} of the "
                "candidates had a value or density that is not finite, and all of them "
                f"in {row['bad_set']:.2%} of the decisions"
            )


def _batches(runs: Sequence[TrainedRun], size: int) -> Iterator[tuple[TrainedRun, ...]]:
    """Neighbors whose knobs alone differ, in traced numbers; ``size`` at most."""

    def kind(run: TrainedRun) -> Any:
        proposers = run.proposer.names() if run.proposer else None
        knobs = jax.tree.structure(run.policies[0].knobs)
        return run.record["seeds"], proposers, knobs

    for _, alike in itertools.groupby(runs, kind):
        while batch := tuple(itertools.islice(alike, size)):
            yield batch
