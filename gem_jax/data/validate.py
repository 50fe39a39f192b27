"""Refuses episodes that training would silently learn nonsense from."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NoReturn

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, tasks
from gem_jax.data.task import OWN

ACTION_TOLERANCE = 1e-3  # overshoot beyond the box that is rounding; of half its width
LARGEST = 1e15  # squares of more, summed over a dataset, overflow float32
# Actions have bounds of their own, and a message that goes with these.
_LIMITS = {
    "observations": LARGEST,
    "actions": np.finfo(np.float32).max,
    "rewards": LARGEST,
}


def check(
    recorded: Sequence[episodes.Episode],
    task: tasks.Task,
    where: str,
    log: Callable[[str], None] = print,
) -> list[episodes.Episode]:
    """Returns the usable episodes, actions clipped to the task's bounds, still raw.

    Empty episodes are left out and counted. What is allowed but seldom meant gets a
    warning: a single transition, rewards or features that never change, actions that
    may number choices.

    Args:
      recorded: as a reader returned them; positions in it name an episode in messages.
      task: fixes the sizes, and the bounds of actions.
      where: the file or dataset, for messages.
      log: takes one line.

    Raises:
      UserError: nothing left; wrong shape or size; a NaN or infinity; a number too
        large to compute with; actions out of bounds. The message names episode, field
        and step.
    """
    check_shapes(recorded, task, where)
    kept = []
    for index, episode in enumerate(recorded):
        if len(episode):
            _check_values(episode, task, f"{where}: episode {index}")
            kept.append(_clipped(episode, task))
    if not kept:
        raise errors.UserError(f"{where} holds no transitions; choose another dataset")
    if len(kept) < len(recorded):
        log(f"warning: {where}: skipped {len(recorded) - len(kept)} empty episodes")
    _warn(kept, where, log)
    return kept


def check_shapes(
    recorded: Sequence[episodes.Episode], task: tasks.Task, where: str
) -> None:
    """Refuses arrays that cannot be the task's.

    Raises:
      UserError: names episode, field and both shapes.
    """
    for index, episode in enumerate(recorded):
        _check_shapes(episode, task, f"{where}: episode {index}")


def _check_shapes(episode: episodes.Episode, task: tasks.Task, where: str) -> None:
    steps = len(episode)
    expected = {
        "observations": (steps + 1, task.observation_size),
        "actions": (steps, task.action_size),
        "rewards": (steps,),
        "terminations": (steps,),
        "truncations": (steps,),
    }
    for field, shape in expected.items():
        actual = getattr(episode, field).shape
        if not steps and field == "observations" and actual[:1] == (0,):
            continue  # an empty episode may lack its only observation
        if actual != shape:
            raise errors.UserError(
                f"{where}: {field} has shape {actual}, {task.name} needs {shape}"
            )
    for name, array in episode.infos.items():
        if len(array) not in (steps, steps + 1):
            raise errors.UserError(
                f"{where}: infos/{name} has {len(array)} rows for {steps} steps"
            )


def _check_values(episode: episodes.Episode, task: tasks.Task, where: str) -> None:
    for field, limit in _LIMITS.items():
        good = np.abs(getattr(episode, field)) <= limit  # a NaN is not
        if not good.all():
            _refuse_value(episode, field, np.argwhere(~good)[0].tolist(), where)
    unit = task.action_box.to_unit(episode.actions)
    overshoot = np.abs(unit) > 1.0 + ACTION_TOLERANCE
    if overshoot.any():
        step, axis = np.argwhere(overshoot)[0].tolist()
        bounds = f"[{task.action_low[axis]:g}, {task.action_high[axis]:g}]"
        raise errors.UserError(
            f"{where}: actions[{step}, {axis}] is {episode.actions[step, axis]:.4g}, "
            f"outside {bounds}; {_remedy(task)}"
        )


def _remedy(task: tasks.Task) -> str:
    if task.suite == OWN:
        return "correct action_low and action_high, or --repair=clip_actions"
    return "rescale the actions"


def _refuse_value(
    episode: episodes.Episode, field: str, index: list[int], where: str
) -> NoReturn:
    value = getattr(episode, field)[tuple(index)]
    if not np.isfinite(value):
        raise errors.UserError(
            f"{where}: {field}{index} is NaN or infinite; --repair=drop_not_finite "
            "leaves that episode out"
        )
    raise errors.UserError(
        f"{where}: {field}{index} is {value:.4g}, which float32 cannot square and sum; "
        f"take that episode out, or rescale {field} to at most {LARGEST:g}"
    )


def _clipped(episode: episodes.Episode, task: tasks.Task) -> episodes.Episode:
    clipped = task.action_box.clip(episode.actions)
    if (clipped == episode.actions).all():
        return episode
    return dataclasses.replace(episode, actions=clipped)


def _warn(kept: list[episodes.Episode], where: str, log: Callable[[str], None]) -> None:
    if sum(map(len, kept)) == 1:
        log(f"warning: {where} holds a single transition")
        return
    rewards = np.concatenate([episode.rewards for episode in kept])
    if np.ptp(rewards) == 0.0:
        log(f"warning: {where}: every reward is {rewards[0]:g}")
    low = np.min([episode.observations.min(axis=0) for episode in kept], axis=0)
    high = np.max([episode.observations.max(axis=0) for episode in kept], axis=0)
    constant = np.flatnonzero(low == high).tolist()
    if constant:
        log(f"warning: {where}: observation features {constant} never change")
    if all(_are_counts(episode.actions) for episode in kept) and any(
        episode.actions.any() for episode in kept
    ):
        log(
            f"warning: {where}: every action is a whole number from 0; numbers of "
            "choices are not learned here, where an action is a quantity"
        )


def _are_counts(actions: np.ndarray) -> bool:
    return bool(np.all((actions >= 0.0) & (actions == np.round(actions))))
