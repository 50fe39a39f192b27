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
from typing import Any

import gymnasium
import numpy as np

from gem_jax import envs, errors, ogbench_worlds

_GLOBALS = threading.RLock()  # one at a time changes what all threads share


def table() -> dict[str, tuple[str, dict[str, Any], int]]:
    """Entry point, arguments and time limit of every task, by id."""
    return {
        ogbench_worlds.env_id(world, number): (
            f"{__name__}:make_task",
            {"world": world, "number": number},
            facts.horizon,
        )
        for world, facts in ogbench_worlds.WORLDS.items()
        for number in ogbench_worlds.NUMBERS
    }


def most_alive(name: str) -> int:
    """``World.most_alive`` of an id; 0 for ids that are not of this module."""
    world = name.removeprefix(ogbench_worlds.PREFIX).partition("-task")[0]
    facts = ogbench_worlds.WORLDS.get(world)
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
