"""What may be mended in a dataset, by name and on request only.

``python -m experiments.dataset inspect`` says which faults a dataset has and which
repair helps; ``--repair=NAME,NAME`` makes it while loading. The file stays as it is.
``until_terminal`` may name a length, ``until_terminal:200``.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, motion, tasks

_Episodes = list[episodes.Episode]
_Repair = Callable[[_Episodes, tasks.Task], _Episodes]


def check_names(names: Sequence[str]) -> None:
    """Refuses a repair that does not exist, or a length that is none.

    Raises:
      UserError: names the valid ones.
    """
    for name in names:
        _parse(name)


def apply(
    recorded: Sequence[episodes.Episode], task: tasks.Task, names: Sequence[str]
) -> _Episodes:
    """Makes repairs in the order of their names; the episodes given stay unchanged."""
    mended = list(recorded)
    for name in names:
        mended = _parse(name)(mended, task)
    return mended


def until_terminal(
    recorded: _Episodes, task: tasks.Task, steps_after: int = 0
) -> _Episodes:
    """Ends an episode some steps after its first terminal one.

    D4RL's AntMaze episodes go on after the goal. Training needs no repair for that: no
    value is learned across a terminal step. Rewards are made for one point, while an
    evaluation draws its goal anew around it, so that the path beyond the first hit may
    be what leads there; the fewer steps stay, the less of it.

    Args:
      recorded: the episodes.
      task: unused.
      steps_after: how many steps beyond the first terminal one stay.
    """
    del task
    kept = []
    for episode in recorded:
        hits = np.flatnonzero(episode.terminations)
        stop = int(hits[0]) + 1 + steps_after if hits.size else len(episode)
        kept.append(episodes.cut(episode, 0, min(stop, len(episode))))
    return kept


def split_jumps(recorded: _Episodes, task: tasks.Task) -> _Episodes:
    """Ends an episode before each step that no motion explains, and leaves it out."""
    kept = []
    for episode in recorded:
        jumps = motion.jumps(episode, task.motion)
        start = 0
        for jump in [*jumps.tolist(), len(episode)]:
            if jump > start:
                kept.append(episodes.cut(episode, start, jump))
            start = jump + 1
    return kept


def shift_rewards(recorded: _Episodes, task: tasks.Task) -> _Episodes:
    """Gives each step the reward recorded one step later; the last step is left out.

    For D4RL's Maze2D files, whose reward belongs to the state before the step.
    """
    del task
    return [
        dataclasses.replace(
            episodes.cut(episode, 0, len(episode) - 1), rewards=episode.rewards[1:]
        )
        for episode in recorded
        if len(episode) > 1
    ]


def drop_not_finite(recorded: _Episodes, task: tasks.Task) -> _Episodes:
    """Leaves out whole episodes that hold a NaN or an infinity."""
    del task
    return [episode for episode in recorded if episodes.is_finite(episode)]


def drop_unfinished(recorded: _Episodes, task: tasks.Task) -> _Episodes:
    """Leaves out episodes cut short: neither terminal nor at the task's horizon."""
    return [episode for episode in recorded if episodes.is_whole(episode, task.horizon)]


def clip_actions(recorded: _Episodes, task: tasks.Task) -> _Episodes:
    """Clips actions to the task's bounds."""
    return [
        dataclasses.replace(episode, actions=task.action_box.clip(episode.actions))
        for episode in recorded
    ]


def _parse(text: str) -> _Repair:
    """The repair that ``NAME`` or ``until_terminal:LENGTH`` asks for."""
    name, colon, length = text.partition(":")
    if name not in REPAIRS:
        raise errors.UserError(
            f"unknown --repair={name!r}; choose of {', '.join(REPAIRS)}, or none"
        )
    if not colon:
        return REPAIRS[name]
    if name != until_terminal.__name__:
        raise errors.UserError(
            f"--repair={text}: {name} takes no length; only until_terminal does"
        )
    if not (length.isascii() and length.isdecimal() and len(length) < 10):
        raise errors.UserError(
            f"--repair={text}: {length!r} is no number of steps; write a whole number "
            "of at least 0, as in until_terminal:200"
        )
    return functools.partial(until_terminal, steps_after=int(length))


REPAIRS: Mapping[str, _Repair] = {
    repair.__name__: repair
    for repair in (
        until_terminal,
        split_jumps,
        shift_rewards,
        drop_not_finite,
        drop_unfinished,
        clip_actions,
    )
}
