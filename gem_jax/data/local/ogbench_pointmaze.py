"""OGBench's recipe for its point mass: cell by cell along a shortest path, with noise.

``navigate`` goes to a random corner or crossing, then to the next; ``stitch`` goes
exactly four cells far and stays there.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from gem_jax.data import episodes
from gem_jax.data.local import ogbench_episodes
from gem_jax.envs import ogbench

VERSION = 1  # to be raised whenever the same seed gives other bytes
EPISODE_STEPS = {"navigate": 1000, "stitch": 200}

describe = ogbench_episodes.describe

_ACTION_NOISE = 0.5
_STITCH_CELLS = 4

Cell = tuple[int, int]


def generate_shard(
    part: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Episodes of 1000 steps, or 200, without rewards; the last is cut short.

    Args:
      part: name of OGBench's set, such as ``pointmaze-large-stitch-v0``.
      num_transitions: steps to record.
      seed: fixes every draw.
    """
    world, variant = ogbench_episodes.split(part)
    walker = _Walker(ogbench.make_recorder(world))
    shares = ogbench_episodes.shares(num_transitions, EPISODE_STEPS[variant], seed)
    return [_episode(walker, variant, steps, child) for steps, child in shares]


def _episode(
    walker: _Walker, variant: str, steps: int, seed: np.random.SeedSequence
) -> episodes.Episode:
    rng = np.random.default_rng(seed)
    cells = walker.draw(rng, onward=variant == "navigate")
    with ogbench.global_draws(int(rng.integers(2**32))):
        return ogbench_episodes.record(
            walker.env, walker, steps, int(rng.integers(2**31)), {"task_info": cells}
        )


class _Walker:
    """Heads for the next cell of a shortest path to the goal's."""

    def __init__(self, env: Any) -> None:
        self.env = env
        self._maze = env.unwrapped
        free = np.argwhere(self._maze.maze_map == 0).tolist()
        self.cells: list[Cell] = [(i, j) for i, j in free]
        self.ends = [cell for cell in self.cells if not self._is_hallway(cell)]
        self._next = functools.cache(self._plan)

    def draw(self, rng: np.random.Generator, *, onward: bool) -> dict[str, Cell]:
        """Draws where an episode starts, and its (first) goal.

        Args:
          rng: of the episode.
          onward: whether there are goals after the first, anywhere in the maze.
        """
        self._rng, self._onward = rng, onward
        start = self._choose(self.cells)
        goals = self.ends if onward else self._four_cells_from(start)
        return {"init_ij": start, "goal_ij": self._choose(goals)}

    def begin(self, observation: np.ndarray, info: dict[str, Any]) -> None:
        del observation, info

    def act(self, observation: np.ndarray, info: dict[str, Any]) -> np.ndarray:
        del observation, info
        place, goal = self._maze.get_xy(), self._maze.cur_goal_xy
        offset = self._next(*map(self._maze.xy_to_ij, (place, goal))) - place
        direction = offset / (np.linalg.norm(offset) + 1e-6)
        return np.clip(direction + self._rng.normal(0.0, _ACTION_NOISE, 2), -1.0, 1.0)

    def after(self, info: dict[str, Any]) -> None:
        if self._onward and info["success"]:
            self._maze.set_goal(self._choose(self.ends))

    def _choose(self, cells: list[Cell]) -> Cell:
        return cells[self._rng.integers(len(cells))]

    def _plan(self, start: Cell, goal: Cell) -> np.ndarray:
        """(x, y) of the cell after ``start``; OGBench's own search, once a pair."""
        places = map(self._maze.ij_to_xy, (start, goal))
        return self._maze.get_oracle_subgoal(*places)[0]

    def _four_cells_from(self, start: Cell) -> list[Cell]:
        place = self._maze.ij_to_xy(start)
        distance = self._maze.get_oracle_subgoal(place, place)[1]
        far = [cell for cell in self.cells if distance[cell] == _STITCH_CELLS]
        return far or [start]

    def _is_hallway(self, cell: Cell) -> bool:
        """Whether it has two free neighbors, which face each other."""
        i, j = cell
        maze = self._maze.maze_map
        column, row = maze[[i - 1, i + 1], j], maze[i, [j - 1, j + 1]]
        along = not column.any() and row.all()
        return bool(along or (not row.any() and column.all()))
