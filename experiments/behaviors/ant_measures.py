"""What AntMaze episodes hold: rewards, by their point; and how the ant fares.

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
_STILL = 1.0, 300  # m, and steps in which an ant that walks goes farther
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


def upside_down(recorded: Sequence[episodes.Episode]) -> tuple[float, float]:
    """Shares of steps with the ant on its back, and of episodes that end so.

    From there the walker seldom gets up again.
    """
    fallen = [_torso_vertical(episode.observations[1:]) < 0.0 for episode in recorded]
    steps = np.concatenate(fallen).mean()
    return float(steps), float(np.mean([one[-1] for one in fallen]))


def _torso_vertical(observations: np.ndarray) -> np.ndarray:
    """`[T]` cosine between the torso's vertical and the world's, of `[T, 29]`."""
    _, x, y, _ = observations[:, 3:7].T
    vertical: np.ndarray = 1.0 - 2.0 * (x * x + y * y)
    return vertical


def endings(tracks: Sequence[np.ndarray], horizon: int) -> dict[str, float]:
    """Shares of episodes by their ends, of upright steps, and these steps' length (m).

    Args:
      tracks: observations `[T + 1, 29]` of each.
      horizon: steps after which an episode ends without the goal.
    """
    upright = [_torso_vertical(track[1:]) > 0.0 for track in tracks]
    lengths = [
        np.linalg.norm(np.diff(track[:, :2], axis=0), axis=1) for track in tracks
    ]
    far, steps = _STILL
    ends = {"at the goal": 0, "on its back": 0, "still": 0}
    for track, up in zip(tracks, upright, strict=True):
        moved = np.linalg.norm(track[-1, :2] - track[-steps:][0, :2])
        if len(track) <= horizon:
            ends["at the goal"] += 1
        elif not up[-1]:
            ends["on its back"] += 1
        elif moved < far:
            ends["still"] += 1
    up, length = np.concatenate(upright), np.concatenate(lengths)
    return {
        **{name: count / len(tracks) for name, count in ends.items()},
        "upright": float(up.mean()),
        "m an upright step": float(length[up].mean()),
    }


def near(episode: episodes.Episode, point: np.ndarray) -> np.ndarray:
    """`[T]` bool: steps that end within reach of a point `[2]` or `[T, 2]`, m."""
    distance = np.linalg.norm(episode.observations[1:, :2] - point, axis=1)
    hits: np.ndarray = distance <= ant_maze.SUCCESS_RADIUS
    return hits
