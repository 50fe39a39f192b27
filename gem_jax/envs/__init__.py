"""Environments that gymnasium lacks, and one way to make any."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def variables(**changes: str) -> Iterator[None]:
    """Variables inside the block; after it they are as they were."""
    before = dict(os.environ)
    os.environ.update(changes)
    try:
        yield
    finally:
        for name in os.environ.keys() - before.keys():
            del os.environ[name]
        os.environ.update(before)


# Importing gymnasium sets a variable and a filter of warnings for the whole process.
with variables(), warnings.catch_warnings():
    import gymnasium

    try:
        import mujoco
    except Exception:
        # It refuses a MUJOCO_GL that it does not know or that is not installed, and
        # here nothing is drawn.
        if "MUJOCO_GL" not in os.environ:
            raise
        with variables(MUJOCO_GL="disable"):
            import mujoco

from gem_jax.envs import ogbench  # noqa: E402  after gymnasium, as above

_ANT = "gem_jax.envs.ant_maze:AntMazeEnv"
_POINT = "gem_jax.envs.point_maze:PointMazeEnv"
_NAVIGATION = "gem_jax.envs.navigation:NavigationEnv"

# Id: entry point, arguments, time limit in environment steps.
_TABLE: dict[str, tuple[str, dict[str, Any], int]] = {
    "gem_jax/AntMaze-umaze-v0": (_ANT, {"maze": "umaze"}, 700),
    "gem_jax/AntMaze-medium-v0": (_ANT, {"maze": "medium"}, 1000),
    "gem_jax/AntMaze-large-v0": (_ANT, {"maze": "large"}, 1000),
    "gem_jax/Maze2D-umaze-v0": (_POINT, {"maze": "umaze"}, 300),
    "gem_jax/Maze2D-medium-v0": (_POINT, {"maze": "medium"}, 600),
    "gem_jax/Maze2D-large-v0": (_POINT, {"maze": "large"}, 800),
    "gem_jax/Navigation-v0": (_NAVIGATION, {}, 1000),
    **ogbench.table(),
}


def make(env_id: str, **arguments: Any) -> gymnasium.Env:
    """One environment.

    Args:
      env_id: an id of this package's, of gymnasium's own, or one that is registered;
        with ``"module:Id"`` gymnasium imports the module first.
      **arguments: for gymnasium's ``make``, and by it for the constructor.
    """
    register_all()
    before = mujoco.get_mju_user_warning()
    with warnings.catch_warnings():
        # D4RL's dynamics are those of v4, on purpose, with its ways of writing a model.
        warnings.simplefilter("ignore", DeprecationWarning)
        mujoco.set_mju_user_warning(lambda message: None)
        try:
            return gymnasium.make(env_id, disable_env_checker=True, **arguments)
        finally:
            mujoco.set_mju_user_warning(before)


def most_alive(env_id: str, otherwise: int) -> int:
    """How many environments of an id to keep at a time, by the memory that they hold.

    Args:
      env_id: as for ``make``.
      otherwise: where memory sets no limit.
    """
    return ogbench.most_alive(env_id) or otherwise


def register_all() -> None:
    """Registers the table with gymnasium; a second call changes nothing."""
    for env_id, (entry_point, arguments, max_steps) in _TABLE.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=entry_point,
                kwargs=arguments,
                max_episode_steps=max_steps,
            )
