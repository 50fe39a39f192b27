"""D4RL's maze2d: a force-controlled point mass among walls, as a gymnasium env.

Facts of the original: one cell is one meter; row `i` and column `j` of the layout
are the coordinates x and y; the body's origin lies at (1.2, 1.2) while the wall of
cell (i, j) is centered at (i + 1, j + 1), so that cell i spans x in [i - 0.7, i + 0.3].
"""

from __future__ import annotations

import math
from typing import Any

import gymnasium
import mujoco
import numpy as np

from gem_jax import errors

# `#` is a wall and `G` the cell of the evaluation goal.
MAZES = {
    "umaze": (
        "#####",
        "#G..#",
        "###.#",
        "#...#",
        "#####",
    ),
    "medium": (
        "########",
        "#..##..#",
        "#..#...#",
        "##...###",
        "#..#...#",
        "#.#..#.#",
        "#...#.G#",
        "########",
    ),
    "large": (
        "############",
        "#....#.....#",
        "#.##.#.#.#.#",
        "#......#...#",
        "#.####.###.#",
        "#..#.#.....#",
        "##.#.#.#.###",
        "#..#...#.G.#",
        "############",
    ),
}
GOAL_RADIUS = 0.5  # meters
MAX_SPEED = 5.0  # meters per second and axis, enforced before each step

_BODY_OFFSET = 1.2
_WALL_OFFSET = 1.0
_MODEL = """
<mujoco model="point_maze">
  <option timestep="0.01" gravity="0 0 0" iterations="20" integrator="Euler"/>
  <default>
    <joint type="slide" damping="1"/>
    <geom density="1000" margin="0.002" condim="1"/>
  </default>
  <worldbody>
    {walls}
    <body pos="{offset} {offset} 0">
      <joint name="x" axis="1 0 0"/>
      <joint name="y" axis="0 1 0"/>
      <geom type="sphere" size="0.1"/>
    </body>
  </worldbody>
  <actuator>
    <motor joint="x" gear="100" ctrllimited="true" ctrlrange="-1 1"/>
    <motor joint="y" gear="100" ctrllimited="true" ctrlrange="-1 1"/>
  </actuator>
</mujoco>
"""


def free_cells(maze: str) -> list[tuple[int, int]]:
    """Every (row, column) of ``maze`` that is no wall, the goal's included."""
    return [cell for cell, tile in _tiles(maze) if tile != "#"]


def goal_cell(maze: str) -> tuple[int, int]:
    """The (row, column) that holds the evaluation goal, which is also its (x, y)."""
    return next(cell for cell, tile in _tiles(maze) if tile == "G")


def cell_at(x: float, y: float) -> tuple[int, int]:
    """The (row, column) of the cell that holds a position in meters."""
    half_cell = 0.5 + _BODY_OFFSET - _WALL_OFFSET
    return math.floor(x + half_cell), math.floor(y + half_cell)


class PointMazeEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Reach a fixed goal that the observation does not show, and stay there.

    Observation: `[4]` float32, (x, y) in meters and (vx, vy) in meters per second.
    Action: `[2]` in [-1, 1], force in units of 100 N; values beyond are clipped.
    Reward: 1 within 0.5 m of the goal, else 0. The task never terminates, so a time
    limit comes from ``gymnasium.make``. ``info["success"]`` says if the goal is held.

    Attributes:
      goal: `(x, y)` of the evaluation goal.
    """

    def __init__(self, maze: str = "umaze") -> None:
        """Builds the physics of ``maze``, one of ``MAZES``.

        Raises:
          UserError: no maze has this name.
        """
        if maze not in MAZES:
            raise errors.UserError(
                f"unknown maze {maze!r}; choose one of {', '.join(MAZES)}"
            )
        self.goal = goal_cell(maze)
        self.observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (4,), np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (2,), np.float32)
        self._cells = np.array(free_cells(maze), float)
        self._model = mujoco.MjModel.from_xml_string(_model_xml(maze))
        self._data = mujoco.MjData(self._model)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        """Puts the mass near the center of a random free cell, almost at rest."""
        super().reset(seed=seed, options=options)
        mujoco.mj_resetData(self._model, self._data)
        cell = self.np_random.choice(self._cells)
        self._data.qpos[:] = cell + self.np_random.uniform(-0.1, 0.1, 2)
        self._data.qvel[:] = 0.1 * self.np_random.standard_normal(2)
        return self._observe()

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        """Applies ``action`` for 0.01 s."""
        data = self._data
        vx, vy = data.qvel.tolist()
        if abs(vx) > MAX_SPEED or abs(vy) > MAX_SPEED:
            data.qvel[0] = min(max(vx, -MAX_SPEED), MAX_SPEED)
            data.qvel[1] = min(max(vy, -MAX_SPEED), MAX_SPEED)
        data.ctrl[:] = action  # MuJoCo clips to the control range
        mujoco.mj_step(self._model, data)
        observation, info = self._observe()
        return observation, float(info["success"]), False, False, info

    def _observe(self) -> tuple[np.ndarray, dict[str, Any]]:
        x, y = self._data.qpos.tolist()
        vx, vy = self._data.qvel.tolist()
        success = math.hypot(x - self.goal[0], y - self.goal[1]) <= GOAL_RADIUS
        return np.array((x, y, vx, vy), np.float32), {"success": success}


def _tiles(maze: str) -> list[tuple[tuple[int, int], str]]:
    return [
        ((i, j), tile)
        for i, row in enumerate(MAZES[maze])
        for j, tile in enumerate(row)
    ]


def _model_xml(maze: str) -> str:
    walls = "".join(
        f'<geom type="box" size="0.5 0.5 0.2" '
        f'pos="{i + _WALL_OFFSET} {j + _WALL_OFFSET} 0"/>'
        for (i, j), tile in _tiles(maze)
        if tile == "#"
    )
    return _MODEL.format(walls=walls, offset=_BODY_OFFSET)
