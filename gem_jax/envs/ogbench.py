"""OGBench's environments, of the package ``ogbench``, which is an extra.

They draw from NumPy's global generator, and from action spaces that nobody seeds. Here
the seed of a reset fixes both, so that an episode depends on its seed alone.
"""

from __future__ import annotations

import contextlib
import importlib
import importlib.metadata
import tempfile
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import gymnasium
import numpy as np

from gem_jax import envs, errors


class World(NamedTuple):
    """What the single tasks of a world have in common.

    Attributes:
      observation_size: length of an observation.
      action_size: length of an action in [-1, 1].
      horizon: time limit, steps.
      default_task: number of the task that a name without a number means.
      most_alive: environments at a time, of 0.2 GB each; 0 for any number.
    """

    observation_size: int
    action_size: int
    horizon: int
    default_task: int
    most_alive: int


WORLDS = {
    "cube-single": World(28, 5, 200, 2, 10),
    "cube-double": World(37, 5, 500, 2, 10),
    "scene": World(40, 5, 750, 2, 10),
    "puzzle-3x3": World(55, 5, 500, 4, 10),
    "puzzle-4x4": World(83, 5, 500, 4, 10),
    "pointmaze-medium": World(2, 2, 1000, 1, 0),
    "pointmaze-large": World(2, 2, 1000, 1, 0),
}
NUMBERS = (1, 2, 3, 4, 5)  # of a world's tasks
_PREFIX = "gem_jax/OGBench-"
_GLOBALS = threading.RLock()  # one at a time changes what all threads share


def env_id(world: str, number: int) -> str:
    """The id of one task's environment, for ``gem_jax.envs.make``."""
    return f"{_PREFIX}{world}-task{number}-v0"


def table() -> dict[str, tuple[str, dict[str, Any], int]]:
    """Entry point, arguments and time limit of every task, by id."""
    return {
        env_id(world, number): (
            f"{__name__}:make_task",
            {"world": world, "number": number},
            facts.horizon,
        )
        for world, facts in WORLDS.items()
        for number in NUMBERS
    }


def most_alive(name: str) -> int:
    """``World.most_alive`` of an id; 0 for ids that are not of this module."""
    facts = WORLDS.get(name.removeprefix(_PREFIX).partition("-task")[0])
    return facts.most_alive if facts else 0


def make_task(world: str, number: int) -> gymnasium.Env:
    """One task, without its time limit: rewards of the state that an action leaves."""
    return _make(f"{world}-singletask-task{number}-v0")


def make_recorder(world: str) -> gymnasium.Env:
    """The environment that OGBench's data come from: nothing ends an episode."""
    options = {} if world.startswith("pointmaze") else {"mode": "data_collection"}
    return _make(f"{world}-v0", terminate_at_goal=False, **options)


def component(module: str, name: str) -> Any:
    """What ``ogbench.MODULE`` calls ``name``.

    Raises:
      UserError: OGBench is not installed.
    """
    try:
        with envs.variables(MUJOCO_GL="disable"):  # its dm_control refuses some values
            return getattr(importlib.import_module(f"ogbench.{module}"), name)
    except ModuleNotFoundError as error:
        raise _missing(error) from None


def version() -> str:
    """OGBench's, which has the oracles that make data.

    Raises:
      UserError: OGBench is not installed.
    """
    try:
        return importlib.metadata.version("ogbench")
    except importlib.metadata.PackageNotFoundError as error:
        raise _missing(error) from None


def _missing(error: ImportError) -> errors.UserError:
    return errors.UserError(
        f"OGBench's tasks need its package ({error}); pip install 'gem_jax[ogbench]'"
    )


@contextlib.contextmanager
def global_draws(seed: int) -> Iterator[None]:
    """NumPy's global generator starts from ``seed``, and is as before after the block.

    One thread at a time is in such a block.

    Args:
      seed: in [0, 2**32).
    """
    with _GLOBALS:
        before = np.random.get_state()
        np.random.seed(seed)
        try:
            yield
        finally:
            np.random.set_state(before)


class Reproducible(gymnasium.Wrapper):
    """Everything that a reset draws comes from its seed."""

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Resets; without a seed the draws are OGBench's own."""
        if seed is None:
            return self.env.reset(options=options)
        self.env.action_space.seed(seed)
        with global_draws(seed):
            return self.env.reset(seed=seed, options=options)


def _make(name: str, **options: Any) -> Reproducible:
    component("utils", "make_env_and_datasets")  # registers OGBench's names
    spec = gymnasium.spec(name)
    create = component(*str(spec.entry_point).removeprefix("ogbench.").split(":"))
    if isinstance(create, type):
        create = _with_one_action_space(create)
    with _no_files_left():
        return Reproducible(create(**spec.kwargs | options))


def _with_one_action_space(arm: Any) -> Any:
    """The class of an arm whose action space is made anew, unseeded, at each look."""

    class Arm(arm):
        """Attributes:
        action_space: one for its lifetime.
        """

        action_space: Any = None

        def __init__(self, **options: Any) -> None:
            super().__init__(**options)
            self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (5,), np.float32)

    return Arm


@contextlib.contextmanager
def _no_files_left() -> Iterator[None]:
    """A maze writes its model to a temporary file that it leaves behind."""
    with _GLOBALS, tempfile.TemporaryDirectory(prefix="ogbench-") as folder:
        before, tempfile.tempdir = tempfile.tempdir, folder
        try:
            yield
        finally:
            tempfile.tempdir = before
