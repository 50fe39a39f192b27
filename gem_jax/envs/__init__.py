"""Evaluation environments that gymnasium lacks; `register_all` makes them known."""

from __future__ import annotations

import gymnasium

_ANT = "gem_jax.envs.ant_maze:AntMazeEnv"
_POINT = "gem_jax.envs.point_maze:PointMazeEnv"

# Id: entry point, maze, time limit in environment steps.
_TABLE = {
    "gem_jax/AntMaze-umaze-v0": (_ANT, "umaze", 700),
    "gem_jax/AntMaze-medium-v0": (_ANT, "medium", 1000),
    "gem_jax/AntMaze-large-v0": (_ANT, "large", 1000),
    "gem_jax/Maze2D-umaze-v0": (_POINT, "umaze", 300),
    "gem_jax/Maze2D-medium-v0": (_POINT, "medium", 600),
    "gem_jax/Maze2D-large-v0": (_POINT, "large", 800),
}


def register_all() -> None:
    """Registers the mazes with gymnasium; a second call changes nothing."""
    for env_id, (entry_point, maze, max_steps) in _TABLE.items():
        if env_id not in gymnasium.registry:
            gymnasium.register(
                id=env_id,
                entry_point=entry_point,
                kwargs={"maze": maze},
                max_episode_steps=max_steps,
            )
