"""How many rewards AntMaze episodes hold, by the point that rewards are made for.

Points are offsets (m) from the center of the cell of evaluation's goal; D4RL draws
U(0, 1) + U(0, 0.5) for each coordinate.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from gem_jax.data import episodes
from gem_jax.envs import ant_maze

Offset = tuple[float, float]

# From the middle of the draws to near their edges.
POINTS: tuple[Offset, ...] = ((0.75, 0.75), (0.58, 1.42), (0.2, 0.2), (1.2, 0.3))
# Shares of rewarded steps and episodes that D4RL's ant has by D4RL's recipe.
_MEDIUM = {(0.75, 0.75): (0.0030, 0.21), (0.58, 1.42): (0.0012, 0.084)}
D4RL: Mapping[str, Mapping[Offset, tuple[float, float]]] = {
    "umaze": {
        (0.75, 0.75): (0.27, 0.78),
        (0.58, 1.42): (0.038, 0.72),
        (0.2, 0.2): (0.10, np.nan),
        (1.2, 0.3): (0.13, np.nan),
    },
    "medium-play": _MEDIUM,
    "medium-diverse": _MEDIUM,
}


def rewarded(
    recorded: Sequence[episodes.Episode], maze: str, offset: Offset
) -> tuple[float, float]:
    """Shares of steps and of episodes with a reward, for a point at an offset (m)."""
    point = ant_maze.cell_center(maze, ant_maze.MAZES[maze].eval_goal) + offset
    hits = [near(episode, point) for episode in recorded]
    steps = np.concatenate(hits).mean()
    return float(steps), float(np.mean([one.any() for one in hits]))


def near(episode: episodes.Episode, point: np.ndarray) -> np.ndarray:
    """`[T]` bool: steps that end within reach of a point `[2]` or `[T, 2]`, m."""
    distance = np.linalg.norm(episode.observations[1:, :2] - point, axis=1)
    hits: np.ndarray = distance <= ant_maze.SUCCESS_RADIUS
    return hits
