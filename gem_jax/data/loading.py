"""Turns a task and a source into arrays, and says where they came from."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from gem_jax import errors
from gem_jax.data import (
    behavior_scores,
    episodes,
    filters,
    repairs,
    tasks,
    transforms,
    transitions,
    validate,
)
from gem_jax.data.options import DataOptions
from gem_jax.data.sources import Log, Provenance, Request, of_file
from gem_jax.data.sources import read as read_source

if TYPE_CHECKING:
    from gem_jax import types


_AS_RECORDED = DataOptions()


@dataclasses.dataclass(frozen=True)
class OfflineDataset:
    """A dataset, flat, with the borders of its trajectories.

    Attributes:
      transitions: float32 NumPy arrays with leading axis `D`, actions in [-1, 1],
        rewards transformed.
      episode_offsets: `[J + 1]` where each trajectory begins, then `D`.
      policy: `[D]` int32 label of the policy that acted; None where unknown.
      behavior_score: mean normalized score of the policies that acted; None where the
        task has no reference scores.
      provenance: where the data came from.
      behavior_return: mean return of the policies that acted.
      recorded: the episodes that it was made of, kept where ``from_arrays`` made it, so
        that it can be a source itself; None elsewhere.
    """

    transitions: types.Transition
    episode_offsets: np.ndarray
    policy: np.ndarray | None
    behavior_score: float | None
    provenance: Provenance
    behavior_return: float | None = None
    recorded: Sequence[episodes.Episode] | None = None

    @property
    def episode_id(self) -> np.ndarray:
        """`[D]` the trajectory that each transition belongs to."""
        return transitions.ids(self.episode_offsets)


def load(
    task: str | tasks.Task,
    source: str | os.PathLike[str] | OfflineDataset = "auto",
    options: DataOptions = _AS_RECORDED,
    *,
    seed: int = 0,
    progress: bool = True,
    log: Log = print,
    **changes: Any,
) -> OfflineDataset:
    """Loads the dataset of a task, making or downloading it if need be.

    Args:
      task: a name of the table, the path of a task file, ``"minari:ID"``, whose task is
        told from that dataset, or a task.
      source: ``"d4rl"``, ``"ogbench"``, ``"minari"`` or ``"minari:ID"``, ``"local"``,
        ``"file:PATH"`` or that path, or ``"auto"``: what the task says, or else the
        original if cached or reachable, or else local. Or a dataset of ``from_arrays``,
        which stands for its arrays.
      options: what is made of the data, but for ``n_step``, which takes an algorithm's
        discount. What became of the rewards is in the provenance.
      seed: of ``"local"`` data; others ignore it.
      progress: whether to show progress.
      log: takes one line.
      **changes: fields of the options, such as ``num_transitions=100_000``.

    Raises:
      UserError: unknown task, source, repair or transform; data absent, damaged or
        unfit for the task; rewards out of float32's range once transformed.
    """
    task = tasks.get(task)
    options = options.override(**changes)
    recorded, provenance = read(
        task,
        source,
        seed=seed,
        num_transitions=options.num_transitions,
        progress=progress,
        log=log,
    )
    return prepare(recorded, provenance, task, options, log)


def prepare(
    recorded: list[episodes.Episode],
    provenance: Provenance,
    task: tasks.Task,
    options: DataOptions,
    log: Log,
) -> OfflineDataset:
    """Mends, checks, filters and flattens episodes; the part of ``load`` after reading.

    Args:
      recorded: as a reader returned them.
      provenance: of them, with its counts.
      task: that they are data of.
      options: all but ``num_transitions`` and ``n_step``.
      log: takes one line.

    Raises:
      UserError: data unfit for the task; rewards out of float32's range.
    """
    chosen = options.reward_transform or task.reward_transform
    where = provenance.id
    if options.repair:
        validate.check_shapes(recorded, task, where)
        recorded = repairs.apply(recorded, task, options.repair)
        where += ", once repaired"
        before, after = provenance.num_transitions, sum(map(len, recorded))
        names = ", ".join(options.repair)
        log(f"repair {names}: {after:,} of {before:,} transitions kept")
    recorded = validate.check(recorded, task, where, log)
    recorded = filters.best(recorded, options.best_share, log)
    offsets = transitions.offsets(recorded)
    flat = transitions.flatten(recorded)
    raw = np.asarray(flat.reward)
    transform = transforms.resolve(chosen, raw, offsets)
    if transform.name == "return_range" and transforms.mostly_single_steps(offsets):
        log(
            f"warning: {provenance.id}: most trajectories are single steps, as in "
            "shuffled data, so that return_range has no returns to scale by; rewards "
            "stay as they are, or give --reward_scale"
        )
    rewards: Any = transform(raw)
    actions: Any = _in_unit_box(np.asarray(flat.action), task)
    return OfflineDataset(
        transitions=flat._replace(action=actions, reward=rewards),
        episode_offsets=offsets,
        policy=transitions.policies(recorded),
        behavior_score=behavior_scores.behavior_score(recorded, task),
        behavior_return=behavior_scores.behavior_return(recorded, task),
        provenance=dataclasses.replace(
            provenance,
            repairs=tuple(options.repair),
            rewards=transform,
            best_share=options.best_share,
        ),
    )


def _in_unit_box(action: np.ndarray, task: tasks.Task) -> np.ndarray:
    """`[D, A]` raw actions, checked, in [-1, 1] without a rounding beyond it."""
    box = task.action_box
    return action if box.is_unit else box.to_unit(action).clip(-1.0, 1.0)


def read(
    task: str | tasks.Task,
    source: str | os.PathLike[str] | OfflineDataset = "auto",
    *,
    seed: int = 0,
    num_transitions: int | None = None,
    progress: bool = True,
    log: Log = print,
) -> tuple[list[episodes.Episode], Provenance]:
    """Like ``load``, but returns the episodes as recorded, neither mended nor checked.

    Actions are raw, in the units of the task's bounds. Some episodes may be empty, and
    what ``load`` would refuse is here to be looked at.
    """
    task = tasks.get(task)
    if num_transitions is not None and num_transitions < 1:
        raise errors.UserError(f"num_transitions={num_transitions} must be at least 1")
    if isinstance(source, OfflineDataset):
        if source.recorded is None:
            raise errors.UserError(
                f"a dataset of {source.provenance.env} that was loaded is no source; "
                "name its own, or make one by gem_jax.data.from_arrays"
            )
        provenance = dataclasses.replace(source.provenance, env=task.name)
        return counted(list(source.recorded), provenance, num_transitions)
    if isinstance(source, os.PathLike):
        source = of_file(source)
    request = Request(task, seed, num_transitions, progress, log)
    recorded, provenance = read_source(source, request)
    return counted(recorded, provenance, num_transitions)


def counted(
    recorded: list[episodes.Episode],
    provenance: Provenance,
    num_transitions: int | None = None,
) -> tuple[list[episodes.Episode], Provenance]:
    """The leading transitions, or all, and the provenance with their numbers in it."""
    if num_transitions is not None:
        recorded = _leading(recorded, num_transitions)
    lengths = [len(episode) for episode in recorded]
    return recorded, dataclasses.replace(
        provenance,
        num_transitions=sum(lengths),
        num_episodes=int(np.count_nonzero(lengths)),
    )


def _leading(recorded: list[episodes.Episode], steps: int) -> list[episodes.Episode]:
    """The first ``steps`` transitions; the last episode may be cut short."""
    kept = []
    for episode in recorded:
        if steps <= 0:
            break
        kept.append(episodes.cut(episode, 0, min(steps, len(episode))))
        steps -= len(episode)
    return kept
