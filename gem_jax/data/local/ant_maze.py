"""AntMaze data by D4RL's recipe: a walking ant, sent through a maze by its map.

Every step, breadth-first search over the map names the next cell on the way to the
hidden goal, the walker is steered that way, its action is sampled, and noise is added.
Episodes last 1001 steps and nothing ends them: having arrived, the ant stays about
its goal. Rewards and terminations are then relabeled for the goal of evaluation.

Three things differ from D4RL. The walker follows a heading (``ant_walker``) where
D4RL's goal-reaching policy takes the waypoint itself. The ant's own cell is the one
it stands in and the waypoint lies a little ahead on the center line, where D4RL's cells
begin at cell centers, which sends the ant into walls on the way back. And the sets
named `play` and `diverse`, which D4RL's script makes alike, differ: see `recipe`.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np

from gem_jax.data import episodes
from gem_jax.data.local import ant_walker, tanh_gaussian
from gem_jax.envs import ant_maze

VERSION = 1  # to be raised whenever the same seed gives other bytes

EPISODE_STEPS = 1001
ACTION_NOISE = 0.2
# Distance (m) of the waypoint ahead; less hugs the center line, more cuts corners.
LOOKAHEAD = 2.0
# Episodes simulated side by side, so that the policy's matrix products pay off.
_BATCH = 32


class Recipe(NamedTuple):
    """What tells one data set of a maze from another.

    Attributes:
      maze: name of the layout.
      starts: cells where episodes start.
      start_noise: meters; U(0, noise) is added to both coordinates of the start.
      goals: cells where the ant is sent; a new one for each episode.
    """

    maze: str
    starts: tuple[ant_maze.Cell, ...]
    start_noise: float
    goals: tuple[ant_maze.Cell, ...]


def recipe(task_name: str) -> Recipe:
    """The recipe of an AntMaze task.

    `umaze` has D4RL's one start and one goal; `umaze-diverse` starts and goes anywhere.
    The others are sent to a hand-picked goal of D4RL's map or to that of evaluation,
    which the medium map lacks. `play` starts, as in D4RL's script, in any cell but
    the map's goals, `diverse` in any cell at all. Goals anywhere, as D4RL's paper has
    it for `diverse`, would leave a reward in one episode of thirty.
    """
    maze, _, kind = (
        task_name.removeprefix("antmaze-").removesuffix("-v2").partition("-")
    )
    layout = ant_maze.MAZES[maze]
    if not kind:
        return Recipe(maze, (layout.start,), 0.0, (layout.eval_goal,))
    starts = ant_maze.cells(maze, ".rg" if kind == "diverse" else ".r")
    if maze == "umaze":
        return Recipe(maze, starts, 1.0, starts)
    goals = {*ant_maze.cells(maze, "g"), layout.eval_goal}
    return Recipe(maze, starts, 1.0, tuple(sorted(goals)))


def describe(task_name: str, num_transitions: int) -> dict[str, Any]:
    """What else fixes a set: the walker's weights."""
    del task_name, num_transitions
    return {"weights": ant_walker.sha256()[:16]}


def generate_shard(
    task_name: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Generates episodes with `num_transitions` steps in all; the last is cut short.

    The same seed gives the same bytes, on one machine and one linear-algebra thread.
    Infos: the behavior's `goal` `[T, 2]`, `qpos` `[T, 15]` and `qvel` `[T, 14]`.
    """
    return generate(recipe(task_name), num_transitions, seed)


def generate(
    recipe: Recipe, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """As `generate_shard`, for a recipe."""
    rng = np.random.default_rng(seed)
    full, rest = divmod(num_transitions, EPISODE_STEPS)
    lengths = [EPISODE_STEPS] * full + [rest] * (rest > 0)
    shard = []
    for first in range(0, len(lengths), _BATCH):
        batch = lengths[first : first + _BATCH]
        goals, observations, actions = _simulate(recipe, len(batch), max(batch), rng)
        shard += [
            _episode(recipe.maze, goals[i], observations[: t + 1, i], actions[:t, i])
            for i, t in enumerate(batch)
        ]
    return shard


def _simulate(
    recipe: Recipe, batch: int, steps: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs episodes in lockstep.

    Returns:
      goals `[B, 2]`, observations `[T + 1, B, 29]` and actions `[T, B, 8]`, float32.
    """
    goal_cells = _draw(recipe.goals, batch, rng)
    goals = np.stack([ant_maze.sample_goal(recipe.maze, c, rng) for c in goal_cells])
    model = ant_maze.make_model(recipe.maze)
    starts = _draw(recipe.starts, batch, rng)
    simulations = [_start(recipe, model, cell, rng) for cell in starts]
    observations = np.empty((steps + 1, batch, ant_maze.OBSERVATION_SIZE), np.float32)
    actions = np.empty((steps, batch, ant_maze.ACTION_SIZE), np.float32)
    observations[0] = [ant_maze.observe(data) for data in simulations]
    turns = np.zeros(batch, np.int64)
    for t in range(steps):
        heading = _heading(recipe.maze, observations[t, :, :2], goal_cells, goals, rng)
        turns = ant_walker.update_turns(turns, observations[t], heading)
        actions[t] = _act(observations[t], heading, turns, rng)
        for i, data in enumerate(simulations):
            data.ctrl[:] = actions[t, i]
            mujoco.mj_step(model, data, nstep=ant_maze.FRAME_SKIP)
            observations[t + 1, i, : ant_maze.NUM_POSITIONS] = data.qpos
            observations[t + 1, i, ant_maze.NUM_POSITIONS :] = data.qvel
    return goals.astype(np.float32), observations, actions


def _start(
    recipe: Recipe, model: mujoco.MjModel, cell: np.ndarray, rng: np.random.Generator
) -> mujoco.MjData:
    """An ant at rest, but for D4RL's noise, in a cell `[2]`."""
    data = mujoco.MjData(model)
    ant_maze.reset_data(data, model, rng)
    if recipe.start_noise:
        data.qpos[:2] = ant_maze.cell_center(recipe.maze, (cell[0], cell[1]))
        data.qpos[:2] += rng.uniform(0.0, recipe.start_noise, 2)
    return data


def _act(
    observation: np.ndarray,
    heading: np.ndarray,
    turns: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Samples the walker's actions `[B, 8]` and adds the behavior's noise."""
    steered = ant_walker.steer_observation(observation, heading, turns)
    shape = len(observation), ant_maze.ACTION_SIZE
    policy_noise = rng.standard_normal(shape, np.float32)
    action = tanh_gaussian.sample(ant_walker.load_walker(), steered, policy_noise)
    noisy = ant_walker.steer_action(action, turns)
    noisy += np.float32(ACTION_NOISE) * rng.standard_normal(shape, np.float32)
    return noisy.clip(-1.0, 1.0)


def _heading(
    maze: str,
    position: np.ndarray,
    goal_cells: np.ndarray,
    goals: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Direction `[B]` (rad) to the waypoint, from positions `[B, 2]`.

    The waypoint is the goal once in its cell. Before, it lies `LOOKAHEAD` ahead on the
    line from the center of the ant's cell to that of the next, plus D4RL's fresh
    U(0, 1) on both coordinates.
    """
    first = np.array(ant_maze.MAZES[maze].start)
    last = np.array(next_cells(maze).shape[2:4]) - 1
    cell = np.rint(position[:, ::-1] / ant_maze.CELL).astype(np.int64) + first
    cell = np.clip(cell, 0, last)
    following = next_cells(maze)[*goal_cells.T, *cell.T]
    direction = (following - cell)[:, ::-1]
    center = ant_maze.CELL * (cell - first)[:, ::-1]
    along = np.sum((position - center) * direction, axis=1, keepdims=True)
    ahead = center + direction * (np.maximum(along, 0.0) + LOOKAHEAD)
    waypoint = ahead + rng.uniform(0.0, 1.0, position.shape)
    arrived = np.all(cell == goal_cells, axis=1, keepdims=True)
    dx, dy = (np.where(arrived, goals, waypoint) - position).T
    heading: np.ndarray = np.arctan2(dy, dx)
    return heading


@functools.cache
def next_cells(maze: str) -> np.ndarray:
    """The way through a maze: `[R, C, R, C, 2]` int.

    Entry `[goal row, goal column, row, column]` is the next cell on D4RL's shortest
    path from (row, column) to the goal; the cell itself at the goal and in walls.
    """
    shape = len(ant_maze.MAZES[maze].rows), len(ant_maze.MAZES[maze].rows[0])
    here = np.moveaxis(np.indices(shape), 0, -1)
    table = np.broadcast_to(here, shape + here.shape).copy()
    for goal in ant_maze.cells(maze):
        for cell, following in _search(goal, set(ant_maze.cells(maze))).items():
            table[*goal, *cell] = following
    return table


def _search(
    goal: ant_maze.Cell, free: set[ant_maze.Cell]
) -> Mapping[ant_maze.Cell, ant_maze.Cell]:
    """Breadth-first search back from the goal: the successor of each free cell."""
    successor = {goal: goal}
    queue = [goal]
    for row, column in queue:  # grows while it is read
        # D4RL's order; it decides between ways of equal length.
        for dr, dc in ((0, -1), (0, 1), (1, 0), (-1, 0)):
            neighbor = row + dr, column + dc
            if neighbor in free and neighbor not in successor:
                successor[neighbor] = row, column
                queue.append(neighbor)
    return successor


def _episode(
    maze: str, goal: np.ndarray, observations: np.ndarray, actions: np.ndarray
) -> episodes.Episode:
    """Relabels one episode for the goal of evaluation."""
    offset = observations[1:, :2] - ant_maze.eval_goal_center(maze)
    success = np.linalg.norm(offset, axis=1) <= ant_maze.SUCCESS_RADIUS
    truncations = np.zeros(len(actions), bool)
    truncations[-1] = True
    return episodes.Episode(
        observations=observations.copy(),
        actions=actions.copy(),
        rewards=success.astype(np.float32),
        terminations=success,
        truncations=truncations,
        infos={
            "goal": np.broadcast_to(goal, (len(actions), 2)).copy(),
            "qpos": observations[:-1, : ant_maze.NUM_POSITIONS].copy(),
            "qvel": observations[:-1, ant_maze.NUM_POSITIONS :].copy(),
        },
    )


def _draw(
    cells: tuple[ant_maze.Cell, ...], count: int, rng: np.random.Generator
) -> np.ndarray:
    """Cells `[count, 2]`, uniformly."""
    return np.array(cells)[rng.integers(len(cells), size=count)]
