"""A task: what fixes data, environment, scores and conventions."""

from __future__ import annotations

import dataclasses
import math
import re
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import numpy as np

from gem_jax import errors
from gem_jax.action_box import ActionBox

OWN = "own"  # the suite of tasks that are not in the table
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")  # becomes a folder
_LARGEST_SIZE = 1_000_000
_LARGEST_INT = 10**300  # TOML and JSON have larger ones, and floats have not
_LARGEST_BOUND = 1e15  # more is no unit that anybody measures in
# Bounds nearer than so many float32 leave no room for actions between them.
_FEWEST_BETWEEN = 1_000
_SCORED_BY = ("return", "success")
_DEEPEST = 20  # of what env_kwargs nest
# Keywords of gymnasium's make that are not the environment's.
NOT_THE_ENVIRONMENTS = ("id", "max_episode_steps", "disable_env_checker")


@dataclasses.dataclass(frozen=True)
class OriginalFile:
    """Where a published file lies, and how to know that it arrived whole.

    Attributes:
      path: path below the publisher's folder on the server.
      num_bytes: size of the file; ``None`` where none was published.
      sha256: hexadecimal digest; ``None`` where none was published.
      publisher: ``"d4rl"`` or ``"ogbench"``, see ``gem_jax.data.publishers``.
    """

    path: str
    num_bytes: int | None
    sha256: str | None
    publisher: str = "d4rl"


@dataclasses.dataclass(frozen=True)
class Motion:
    """Which numbers of an observation are positions, and which their velocities.

    Attributes:
      positions: first and last-plus-one index of positions (m, rad).
      velocities: the same of the velocities of these positions (per second).
      step_seconds: duration of an environment step.
      largest_slip: difference (m, rad) between a step and its velocities that only a
        reset exceeds: some way above the largest in undisturbed episodes.
    """

    positions: tuple[int, int]
    velocities: tuple[int, int]
    step_seconds: float
    largest_slip: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task:
    """Everything that a task's name fixes.

    The first four are needed, and with data that is all.

    Attributes:
      name: letters, digits and ``._-``; becomes a folder.
      observation_size: length of an observation, flat.
      action_size: length of an action.
      horizon: time limit of an evaluation episode, environment steps.
      action_low: `A` finite bounds in raw units, those of environment and data; -1 each
        by default.
      action_high: likewise; 1 each.
      env_id: gymnasium id of the environment used for evaluation, for every source, or
        ``"module:Id"`` of a module that registers it; ``None``: nothing to evaluate in.
      env_kwargs: for the environment's constructor: numbers, texts, lists, mappings.
      observation_keys: of a dict observation, those to put one after the other; by
        default all, in gymnasium's own order.
      source: where the data come from unless that is asked for; see
        ``gem_jax.data.load``.
      reward_transform: name of a function in ``gem_jax.data.transforms``.
      min_score: return whose normalized score is 0; ``None`` where there is none.
      max_score: return whose normalized score is 100, likewise.
      suite: ``"locomotion"``, ``"antmaze"``, ``"maze2d"``, ``"navigation"``,
        ``"ogbench"`` or, of all that are not in the table, ``"own"``; chooses
        hyperparameters. Not to be given.
      world: the robot, or the maze.
      variant: of the data: ``"medium-expert"``, ``"play"`` and the like; empty where a
        world has but one set.
      motion: where positions and velocities stand in an observation; ``None`` where an
        observation has no velocities, or nobody said.
      num_transitions: size of D4RL's set, environment steps; 0 where there is none.
      original: the published file; ``None`` for a task that has none.
      recipe: name of the generator for ``--source=local``; empty where there is none.
      scored_by: what of an episode the score is the mean of: ``"return"`` or
        ``"success"``, 1 where the environment reported one and 0 elsewhere; in data, 1
        where an episode ended terminally.

    Raises:
      UserError: a value cannot be meant; names the field and the remedy.
    """

    name: str
    observation_size: int
    action_size: int
    horizon: int
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()
    env_id: str | None = None
    env_kwargs: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    observation_keys: tuple[str, ...] = ()
    source: str = "auto"
    reward_transform: str = "identity"
    min_score: float | None = None
    max_score: float | None = None
    suite: str = OWN
    world: str = ""
    variant: str = ""
    motion: Motion | None = None
    num_transitions: int = 0
    original: OriginalFile | None = None
    recipe: str = ""
    scored_by: str = "return"

    def __post_init__(self) -> None:
        _check_name(self.name)
        for name, most in (
            *(("observation_size", _LARGEST_SIZE), ("action_size", _LARGEST_SIZE)),
            ("horizon", 2**31 - 1),
        ):
            _check_count(name, getattr(self, name), most)
        for name, default in (("action_low", -1.0), ("action_high", 1.0)):
            bounds = _bounds(name, getattr(self, name), self.action_size, default)
            object.__setattr__(self, name, bounds)
        _check_box(self.action_low, self.action_high)
        _check_environment(self.env_id, self.env_kwargs)
        _check_text("source", self.source)
        _check_keys(self.observation_keys)
        object.__setattr__(self, "observation_keys", tuple(self.observation_keys))
        _check_transform(self.reward_transform)
        _check_scores(self.min_score, self.max_score)
        if self.scored_by not in _SCORED_BY:
            _refuse("scored_by", self.scored_by, f"choose {' or '.join(_SCORED_BY)}")

    @property
    def action_box(self) -> ActionBox:
        """Bounds of actions in raw units, with the map to [-1, 1] and back."""
        return ActionBox.of(self.action_low, self.action_high)

    @property
    def is_scored(self) -> bool:
        """Whether a return has a normalized score."""
        return self.min_score is not None

    def normalized_score(self, value: float) -> float | None:
        """0 for ``min_score`` and 100 for ``max_score``, as D4RL's.

        ``None`` where the task has no reference scores: a return is then all there is.

        Args:
          value: an episode's return, or what else ``scored_by`` says.
        """
        if self.min_score is None or self.max_score is None:
            return None
        span = self.max_score - self.min_score
        return 100.0 * (value - self.min_score) / span


def _refuse(name: str, value: Any, remedy: str) -> NoReturn:
    raise errors.UserError(f"{name} = {reprlib.repr(value)}: {remedy}")


def _is_number(value: Any) -> bool:
    if isinstance(value, int):
        return not isinstance(value, bool) and abs(value) <= _LARGEST_INT
    return isinstance(value, float | np.number)


def _check_name(name: Any) -> None:
    if not isinstance(name, str) or not _NAME.fullmatch(name) or ".." in name:
        _refuse("name", name, "write up to 100 letters, digits, '.', '_' or '-'")


def _check_count(name: str, value: Any, most: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= most:
        _refuse(name, value, f"write a whole number from 1 to {most:,}")


def _check_text(name: str, value: Any) -> None:
    if not isinstance(value, str) or not value:
        _refuse(name, value, "write a text in quotes, or leave it out")


def _bounds(name: str, values: Any, size: int, default: float) -> tuple[float, ...]:
    """The bounds as plain numbers."""
    if isinstance(values, np.ndarray):
        values = values.tolist()
    if not isinstance(values, Sequence) or not all(map(_is_number, values)):
        _refuse(name, values, f"write a list of {size} number(s)")
    bounds = tuple(map(float, values)) or (default,) * size
    if len(bounds) != size:
        _refuse(name, values, f"write {size} number(s), as action_size says")
    for bound in bounds:
        if not abs(bound) <= _LARGEST_BOUND:  # a NaN is not
            _refuse(
                name,
                values,
                "bounds must be finite, and at most 1e15; where the environment has "
                "none, give those that actions are to keep",
            )
    return bounds


def _check_box(low: tuple[float, ...], high: tuple[float, ...]) -> None:
    for i, (least, most) in enumerate(zip(low, high, strict=True)):
        if least >= most:
            raise errors.UserError(
                f"action_low[{i}] = {least:g} is not below action_high[{i}] = "
                f"{most:g}; exchange or correct them"
            )
        grain = float(np.spacing(np.float32(max(abs(least), abs(most)))))
        if most - least < _FEWEST_BETWEEN * grain:
            raise errors.UserError(
                f"action_low[{i}] = {least:.9g} and action_high[{i}] = {most:.9g} are "
                "too near to each other for float32; move or rescale that action"
            )


def _check_environment(env_id: Any, kwargs: Any) -> None:
    if env_id is not None:
        _check_text("env_id", env_id)
    if not isinstance(kwargs, Mapping) or not _is_plain(kwargs):
        _refuse("env_kwargs", kwargs, "write a table of numbers, texts and lists")
    if kwargs and env_id is None:
        _refuse("env_kwargs", dict(kwargs), "give env_id too, or leave them out")
    for name in NOT_THE_ENVIRONMENTS:
        if name in kwargs:
            _refuse(
                f"env_kwargs.{name}",
                kwargs[name],
                "leave it out; env_id and horizon say what is made and when it ends",
            )


def _is_plain(value: Any, depth: int = 0) -> bool:
    """Whether JSON holds it as it is, nested no deeper than anybody means."""
    if isinstance(value, Mapping | list | tuple):
        inner = value.values() if isinstance(value, Mapping) else value
        named = all(isinstance(k, str) for k in value) or inner is value
        deeper = depth + 1
        return named and deeper < _DEEPEST and all(_is_plain(v, deeper) for v in inner)
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or isinstance(value, bool | int | str)


def _check_keys(keys: Any) -> None:
    if isinstance(keys, str) or not isinstance(keys, Sequence):
        _refuse("observation_keys", keys, "write a list of texts in quotes")
    for key in keys:
        _check_text("observation_keys", key)
    if len(set(keys)) < len(keys):
        _refuse("observation_keys", list(keys), "name each key once")


def _check_transform(name: Any) -> None:
    from gem_jax.data import transforms  # which takes its limits from what checks data

    _check_text("reward_transform", name)
    if name not in transforms.NAMES:
        _refuse("reward_transform", name, f"choose {', '.join(transforms.NAMES)}")


def _check_scores(low: Any, high: Any) -> None:
    if (low is None) != (high is None):
        missing = "min_score" if low is None else "max_score"
        raise errors.UserError(
            f"{missing} is missing; give both reference scores, or neither"
        )
    if low is None:
        return
    for name, value in (("min_score", low), ("max_score", high)):
        if not _is_number(value) or not math.isfinite(value):
            _refuse(name, value, "write a finite number, or leave both scores out")
    if low >= high:
        raise errors.UserError(
            f"min_score = {low:g} is not below max_score = {high:g}; exchange or "
            "correct them"
        )
