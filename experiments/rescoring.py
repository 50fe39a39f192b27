"""Plays a trained run again, with the knobs it was trained with or with others."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import gem_jax
from gem_jax.data import tasks
from gem_jax.policy import Policy
from gem_jax.training import evaluation, rundir


@dataclasses.dataclass(frozen=True)
class TrainedRun:
    """A run folder, loaded.

    Attributes:
      record: its ``config.json``.
      policies: one a seed, in the order of ``record["seeds"]``.
    """

    record: dict[str, Any]
    policies: tuple[Policy, ...]

    def with_knobs(self, changes: Mapping[str, Any]) -> TrainedRun:
        """The same weights with other knobs.

        Raises:
          UserError: the algorithm has no such knob, or a value is out of range.
        """
        changed = tuple(policy.with_knobs(**changes) for policy in self.policies)
        return dataclasses.replace(self, policies=changed)

    def origins(self) -> list[dict[str, Any]]:
        """What tells the rows of this run from others, a seed each."""
        names = ("env", "algo", "source")
        shared = {name: self.record[name] for name in names}
        shared["settings"] = rundir.settings_hash(self.record)
        return [
            shared | {"step": policy.step, "seed": seed}
            for seed, policy in zip(self.record["seeds"], self.policies, strict=True)
        ]


def load(workdir: pathlib.Path, checkpoint: int | None = None) -> TrainedRun:
    """Loads every seed of a run.

    Args:
      workdir: a run folder.
      checkpoint: a step; the newest when ``None``.

    Raises:
      UserError: there is no such run or checkpoint, or it is damaged.
    """
    first = gem_jax.load(workdir, checkpoint)
    record = rundir.read_json(workdir / rundir.CONFIG)
    # The first one's step: a run that goes on meanwhile may write a newer one.
    others = range(1, len(record["seeds"]))
    rest = (gem_jax.load(workdir, first.step, seed) for seed in others)
    return TrainedRun(record, (first, *rest))


def play(runs: Sequence[TrainedRun], episodes: int) -> Iterator[list[dict[str, Any]]]:
    """Yields a list of rows for each run, a row a seed.

    All runs are one run with different knobs, and play the same episodes with the
    same random numbers. Rows have the fields of ``eval.jsonl`` and their origin.
    """
    if not runs:
        return
    task = tasks.get(runs[0].record["env"])
    act = runs[0].policies[0].algorithm.act
    with evaluation.make_evaluator(task.env_id, act) as evaluate:
        for run in runs:
            rows = []
            for origin, policy in zip(run.origins(), run.policies, strict=True):
                key = evaluation.seed_key(origin["seed"])
                result = evaluate(policy.params, key, policy.knobs, episodes)
                rows.append(origin | evaluation.to_row(result, task, policy.knobs))
            yield rows
