"""AntMaze as D4RL evaluates it: an ant, a maze, a goal that it cannot see.

The physics is gymnasium's own ``ant.xml`` with the three numbers changed in which
D4RL's ant differs (time step, contact impedance, motor gear), plus box walls. The
map of a maze is read as `(row, column)`; column grows with x and row with y, in steps
of `CELL` meters, and the robot's start cell lies at the origin.

Reference: Fu et al., "D4RL: Datasets for Deep Data-Driven Reinforcement Learning".
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from importlib import resources
from typing import Any, NamedTuple
from xml.etree import ElementTree

import gymnasium
import mujoco
import numpy as np

CELL = 4.0  # meters
WALL_HEIGHT = 2.0  # meters
FRAME_SKIP = 5  # physics steps of 0.02 s per environment step
SUCCESS_RADIUS = 0.5  # meters
NUM_POSITIONS = 15  # of these the last 8 are the joints; all of them are observed
NUM_VELOCITIES = 14
OBSERVATION_SIZE = NUM_POSITIONS + NUM_VELOCITIES
ACTION_SIZE = 8

# "#" wall, "." free, "r" the robot's start, "g" a goal of the data generation.
_UMAZE = """
#####
#r..#
###.#
#g..#
#####"""
_MEDIUM = """
########
#r.##..#
#..#..g#
##...###
#..#...#
#g#..#.#
#...#g.#
########"""
_LARGE = """
############
#r...#g....#
#.##.#.#.#.#
#....g.#..g#
#.####.###.#
#.g#.#.....#
##.#.#.#.###
#..#g.g#.g.#
############"""

Cell = tuple[int, int]


class Maze(NamedTuple):
    """A layout.

    Attributes:
      rows: the map, a string per row.
      start: `(row, column)` where an evaluation episode starts; the origin.
      eval_goal: `(row, column)` of the goal that evaluation and rewards use.
    """

    rows: tuple[str, ...]
    start: Cell
    eval_goal: Cell


MAZES: Mapping[str, Maze] = {
    "umaze": Maze(tuple(_UMAZE.split()), (1, 1), (3, 1)),
    "medium": Maze(tuple(_MEDIUM.split()), (1, 1), (6, 6)),
    "large": Maze(tuple(_LARGE.split()), (1, 1), (7, 9)),
}


def cells(maze: str, marks: str = ".rg") -> tuple[Cell, ...]:
    """Cells of a maze whose mark is one of ``marks``, in reading order."""
    rows = MAZES[maze].rows
    return tuple(
        (i, j) for i, row in enumerate(rows) for j, c in enumerate(row) if c in marks
    )


def cell_center(maze: str, cell: Cell) -> np.ndarray:
    """Center `[2]` of a cell, meters."""
    row, column = cell
    start_row, start_column = MAZES[maze].start
    return CELL * np.array([column - start_column, row - start_row], np.float64)


def sample_goal(maze: str, cell: Cell, rng: np.random.Generator) -> np.ndarray:
    """A goal `[2]` in a cell: D4RL adds U(0, 1) + U(0, 0.5) to both coordinates."""
    offset = rng.uniform(0.0, 1.0, 2) + rng.uniform(0.0, 0.5, 2)
    return cell_center(maze, cell) + offset


def eval_goal_center(maze: str) -> np.ndarray:
    """Mean `[2]` of the goals that evaluation draws, meters."""
    return cell_center(maze, MAZES[maze].eval_goal) + 0.75


@functools.cache
def make_model(maze: str | None) -> mujoco.MjModel:
    """Compiles D4RL's ant in a maze; ``None`` is an open plain.

    The model is shared by all who ask for the same maze and must not be written to.
    """
    path = resources.files("gymnasium").joinpath("envs/mujoco/assets/ant.xml")
    root = ElementTree.fromstring(path.read_text())
    _element(root, "option").set("timestep", "0.02")
    _element(root, "default/geom").set("solimp", ".8 .8 .01")
    for motor in root.findall("actuator/motor"):
        motor.set("gear", "30")
    if maze is not None:
        for cell in cells(maze, "#"):
            _add_wall(_element(root, "worldbody"), cell_center(maze, cell))
    return mujoco.MjModel.from_xml_string(ElementTree.tostring(root, "unicode"))


def reset_data(
    data: mujoco.MjData, model: mujoco.MjModel, rng: np.random.Generator
) -> None:
    """Puts the ant at the origin, with D4RL's noise on all positions and velocities."""
    mujoco.mj_resetData(model, data)
    data.qpos[:] += rng.uniform(-0.1, 0.1, NUM_POSITIONS)
    data.qvel[:] = 0.1 * rng.standard_normal(NUM_VELOCITIES)


def observe(data: mujoco.MjData) -> np.ndarray:
    """Observation `[29]` float32: positions `[15]` with x, y first, velocities `[14]`.

    Positions: x, y, z (m), torso quaternion (w, x, y, z), joints of legs 1 to 4, hip
    before ankle (rad). Velocities: linear in the world's frame (m/s), angular in the
    torso's (rad/s), joints (rad/s).
    """
    observation = np.empty(OBSERVATION_SIZE, np.float32)
    observation[:NUM_POSITIONS] = data.qpos
    observation[NUM_POSITIONS:] = data.qvel
    return observation


class AntMazeEnv(gymnasium.Env[np.ndarray, np.ndarray]):
    """Walk to a hidden goal; reward 1 and the end within half a meter of it.

    The goal is drawn anew at each reset. A fall does not end the episode; the time
    limit is left to gymnasium's wrapper.
    """

    metadata: dict[str, Any] = {"render_modes": []}

    def __init__(self, maze: str) -> None:
        self._maze = maze
        self._model = make_model(maze)
        self._data = mujoco.MjData(self._model)
        self.goal = eval_goal_center(maze)
        self.observation_space = gymnasium.spaces.Box(
            -np.inf, np.inf, (OBSERVATION_SIZE,), np.float32
        )
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (ACTION_SIZE,), np.float32)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[np.ndarray, dict[str, Any]]:
        super().reset(seed=seed, options=options)
        self.goal = sample_goal(self._maze, MAZES[self._maze].eval_goal, self.np_random)
        reset_data(self._data, self._model, self.np_random)
        return observe(self._data), {"success": False}

    def step(
        self, action: np.ndarray
    ) -> tuple[np.ndarray, float, bool, bool, dict[str, Any]]:
        data = self._data
        data.ctrl[:] = action
        # One call per frame: the interpreter's lock is free for all of it.
        mujoco.mj_step(self._model, data, nstep=FRAME_SKIP)
        dx, dy = data.qpos[0] - self.goal[0], data.qpos[1] - self.goal[1]
        success = bool(dx * dx + dy * dy <= SUCCESS_RADIUS**2)
        return observe(data), float(success), success, False, {"success": success}


def _element(root: ElementTree.Element, path: str) -> ElementTree.Element:
    element = root.find(path)
    if element is None:
        raise RuntimeError(f"gymnasium's ant.xml has no <{path}>")
    return element


def _add_wall(worldbody: ElementTree.Element, center: np.ndarray) -> None:
    half = WALL_HEIGHT / 2
    attributes = {
        "type": "box",
        "pos": f"{center[0]} {center[1]} {half}",
        "size": f"{CELL / 2} {CELL / 2} {half}",
        "contype": "1",
        "conaffinity": "1",
        "rgba": "0.7 0.5 0.3 1",
    }
    ElementTree.SubElement(worldbody, "geom", attributes)
