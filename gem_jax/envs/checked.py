"""A task's environment as the evaluator needs it: checked, flat, and to be blamed.

Whatever the environment of a task does, reset and step answer with a float vector and
a number, or with one line that names the environment.
"""

from __future__ import annotations

import reprlib
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from gymnasium import spaces

from gem_jax import envs, errors

_SUCCESS = ("success", "is_success")  # names under which environments report it
# Bounds that agree but for a rounding to float32.
_AGREE = 1e-5, 1e-7  # relative, absolute


class Described(Protocol):
    """What of a task its environment must agree with; see ``gem_jax.data.Task``."""

    @property
    def name(self) -> str: ...
    @property
    def env_id(self) -> str | None: ...
    @property
    def env_kwargs(self) -> Mapping[str, Any]: ...
    @property
    def observation_size(self) -> int: ...
    @property
    def observation_keys(self) -> Sequence[str]: ...
    @property
    def action_size(self) -> int: ...
    @property
    def action_low(self) -> Sequence[float]: ...
    @property
    def action_high(self) -> Sequence[float]: ...
    @property
    def horizon(self) -> int: ...


class CheckedEnv:
    """One environment of a task.

    Attributes:
      name: what messages call it.
    """

    def __init__(self, task: Described) -> None:
        """Makes the environment, with the task's horizon for its time limit.

        Raises:
          UserError: the task names none, it cannot be made, or its spaces are not the
            task's.
        """
        if task.env_id is None:
            raise errors.UserError(
                f"{task.name} names no environment to evaluate in; give env_id in its "
                "task file"
            )
        self.name, self._task = task.env_id, task.name
        limit = task.horizon
        self._env = self._call(
            "making it",
            lambda: envs.make(self.name, max_episode_steps=limit, **task.env_kwargs),
        )
        try:
            self._flatten = _flattener(self._env.observation_space, task)
            self._act = _actor(self._env.action_space, task)
        except BaseException:
            self.close()
            raise
        self._shape = (task.observation_size,)

    def reset(self, seed: int) -> tuple[np.ndarray, Mapping[str, bool]]:
        """The first observation `[O]`, and what ``step`` returns last.

        Raises:
          UserError: the environment raised, or returned something else.
        """
        observation, info = self._call("reset", lambda: self._reset(seed))
        return observation, info

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, Mapping[str, bool]]:
        """One step with a raw action `[A]`.

        Returns:
          The observation `[O]`, the reward, whether the task ended, whether time did,
          and ``success`` if the environment reports it, by whatever name.

        Raises:
          UserError: the environment raised, or returned something else.
        """
        try:
            observation, reward, ended, cut, info = self._env.step(self._act(action))
            vector = self._vector(observation)
            return vector, float(reward), bool(ended), bool(cut), _success(info)
        except Exception as error:
            raise self._blamed("step", error) from error

    def close(self) -> None:
        """Frees what the environment holds; what it raises is nobody's business."""
        try:
            self._env.close()
        except Exception:  # its results are in
            pass

    def _reset(self, seed: int) -> tuple[np.ndarray, Mapping[str, bool]]:
        observation, info = self._env.reset(seed=seed)
        return self._vector(observation), _success(info)

    def _vector(self, observation: Any) -> np.ndarray:
        vector = self._flatten(observation).astype(np.float32, copy=False)
        if vector.shape != self._shape:
            raise errors.UserError(
                f"environment {self.name} returned an observation of {vector.size} "
                f"numbers, and its observation_space has {self._shape[0]}; mend it"
            )
        return vector

    def _call(self, what: str, function: Callable[[], Any]) -> Any:
        try:
            return function()
        except Exception as error:
            raise self._blamed(what, error) from error

    def _blamed(self, what: str, error: Exception) -> errors.UserError:
        """The error in one line, with its innermost place unless that is here."""
        if isinstance(error, errors.UserError):
            return error
        frame = traceback.extract_tb(error.__traceback__)[-1]
        here = frame.filename == __file__
        place = "" if here else f" (at {frame.filename}:{frame.lineno})"
        said = " ".join(str(error).split())
        return errors.UserError(
            f"environment {self.name}: {what} failed: {type(error).__name__}: {said}"
            f"{place}; mend it, or env_id and env_kwargs of {self._task}"
        )


def _success(info: Mapping[str, Any]) -> Mapping[str, bool]:
    found = [bool(info[name]) for name in _SUCCESS if name in info]
    return {"success": any(found)} if found else {}


def _flattener(space: spaces.Space, task: Described) -> Callable[[Any], np.ndarray]:
    """From an observation to `[O]`; refuses a space that is not the task's."""
    if task.observation_keys:
        return _picker(space, task)
    _refuse_images(space, task, "")
    _require_size(_flat_size(space, task), task)
    if isinstance(space, spaces.Box):
        return lambda observation: np.asarray(observation).reshape(-1)
    return lambda observation: np.asarray(spaces.flatten(space, observation))


def _picker(space: spaces.Space, task: Described) -> Callable[[Any], np.ndarray]:
    """The task's keys, one after the other."""
    if not isinstance(space, spaces.Dict):
        raise errors.UserError(
            f"environment {task.env_id} observes no dict but {_line(space)}; leave out "
            "observation_keys"
        )
    parts = []
    for key in task.observation_keys:
        if key not in space.spaces:
            raise errors.UserError(
                f"environment {task.env_id} observes no {key!r}; there are "
                f"{', '.join(space.spaces)}"
            )
        parts.append((key, space[key]))
        _refuse_images(space[key], task, f" {key!r}")
    _require_size(sum(_flat_size(part, task) for _, part in parts), task)
    return lambda observation: np.concatenate(
        [np.asarray(spaces.flatten(part, observation[key])) for key, part in parts]
    )


def _line(space: spaces.Space) -> str:
    """A space in one line, since large boxes take several."""
    return reprlib.repr(" ".join(str(space).split())).strip("'\"")


def _refuse_images(space: spaces.Space, task: Described, which: str) -> None:
    """Refuses what is made of pixels, in a dict or a tuple too."""
    if isinstance(space, spaces.Dict):
        for key, inner in space.spaces.items():
            _refuse_images(inner, task, f" {key!r}")
    elif isinstance(space, spaces.Tuple):
        for i, inner in enumerate(space.spaces):
            _refuse_images(inner, task, f" {i}")
    elif isinstance(space, spaces.Box) and len(space.shape) >= 2:
        if space.dtype == np.uint8 or len(space.shape) > 2:
            raise errors.UserError(
                f"environment {task.env_id} observes images: its observation{which} "
                f"has shape {space.shape}; networks here take vectors, so wrap it to "
                "return features, or leave that key out by observation_keys"
            )


def _flat_size(space: spaces.Space, task: Described) -> int:
    try:
        return spaces.flatdim(space)
    except (ValueError, NotImplementedError):
        raise errors.UserError(
            f"environment {task.env_id} observes {_line(space)}, which has no fixed "
            "length; wrap it to return a vector"
        ) from None


def _require_size(size: int, task: Described) -> None:
    if size != task.observation_size:
        raise errors.UserError(
            f"environment {task.env_id} observes {size} numbers, and {task.name} says "
            f"observation_size = {task.observation_size}; correct that, env_id or "
            "observation_keys"
        )


def _actor(space: spaces.Space, task: Described) -> Callable[[np.ndarray], np.ndarray]:
    """From a raw action `[A]` to what the environment takes."""
    if not isinstance(space, spaces.Box) or not np.issubdtype(space.dtype, np.floating):
        raise errors.UserError(
            f"environment {task.env_id} takes {_line(space)}: discrete actions and "
            "mixed ones are not supported, every method here chooses vectors of real "
            "numbers"
        )
    low, high = space.low.reshape(-1), space.high.reshape(-1)
    if low.size != task.action_size:
        raise errors.UserError(
            f"environment {task.env_id} takes {low.size} numbers, and {task.name} says "
            f"action_size = {task.action_size}; correct that, or env_id"
        )
    if not (np.isfinite(low).all() and np.isfinite(high).all()):
        raise errors.UserError(
            f"environment {task.env_id} sets no finite bounds to its actions; wrap it "
            "in one that does, as gymnasium.wrappers.RescaleAction needs too"
        )
    for field, there, here in (
        ("action_low", low, task.action_low),
        ("action_high", high, task.action_high),
    ):
        if not np.allclose(there, here, *_AGREE):
            raise errors.UserError(
                f"environment {task.env_id}: actions have {field} = {there.tolist()}, "
                f"and {task.name} says {list(here)}; correct that, or env_id"
            )
    if space.shape == (task.action_size,) and space.dtype == np.float32:
        return lambda action: action
    # A float32 may lie beyond a bound of float64 by a rounding.
    dtype, shape = space.dtype, space.shape
    return lambda action: action.astype(dtype).clip(low, high).reshape(shape)
