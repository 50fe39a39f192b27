"""AntMaze data by D4RL's recipe: a walking ant, sent through a maze by its map.

Every step, breadth-first search over the map names the next cell on the way to the
hidden goal, the walker is steered to a point in that cell, its action is sampled, and
noise is added. Episodes last 1001 steps and nothing ends them: the ant never slows
down, so it runs past its goal, turns and comes back. Rewards and terminations are then
relabeled for one point, drawn once for each set as D4RL draws goals of evaluation.

One thing differs from D4RL: the low-level policy. D4RL's takes the vector to the
waypoint, stretched to 10 meters wherever the ant is; the walker here (``ant_walker``)
takes the direction of that vector. How closely the two behaviors agree is measured by
``experiments.behaviors.evaluate_ant``.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from typing import Any, NamedTuple

import mujoco
import numpy as np

from gem_jax.data import episodes, tasks
from gem_jax.data.local import ant_walker, tanh_gaussian
from gem_jax.envs import ant_maze

VERSION = 2  # to be raised whenever the same seed gives other bytes

EPISODE_STEPS = 1001
ACTION_NOISE = 0.2
# Beyond an eighth of a turn: legs are renamed once the torso is more than 110 degrees
# off its heading, so for a way back, but at a right-angled corner only if it was 20 off
# before. Else the torso turns there, as D4RL's ant has to, whose legs have fixed names.
# Fitted to the shares of rewarded steps and episodes that D4RL's ant has, which are in
# ``experiments.behaviors.ant_measures``; ``evaluate_ant`` prints them beside its own.
CORNER_HYSTERESIS = np.deg2rad(65.0)
# Episodes simulated side by side, so that the policy's matrix products pay off.
_BATCH = 32


class Recipe(NamedTuple):
    """What tells one data set of a maze from another.

    Attributes:
      maze: name of the layout.
      starts: cells where episodes start.
      start_noise: meters; U(0, noise) is added to both coordinates of the start, unless
        0, where evaluation's U(-0.1, 0.1) is.
      goals: cells where the ant is sent; a new one for each episode.
    """

    maze: str
    starts: tuple[ant_maze.Cell, ...]
    start_noise: float
    goals: tuple[ant_maze.Cell, ...]


def recipe(task_name: str) -> Recipe:
    """The recipe of an AntMaze task, as in D4RL's script.

    The ant is sent to the goals that the map marks: in umaze and large the cell of
    evaluation's goal is one of them, in medium it is only passed through. `umaze`
    starts at the map's start, all others in any free cell but the goals. `play` and
    `diverse` differ in the seed alone: the option of D4RL's script that tells them
    apart names the file and nothing else. (D4RL's paper has random goals for
    `diverse`.)
    """
    task = tasks.get(task_name)
    maze, goals = task.world, ant_maze.cells(task.world, "g")
    if not task.variant:
        return Recipe(maze, (ant_maze.MAZES[maze].start,), 0.0, goals)
    return Recipe(maze, ant_maze.cells(maze, ".r"), 1.0, goals)


def reward_point(maze: str, seed: np.random.SeedSequence) -> np.ndarray:
    """Where a set's rewards are: `[2]`, m, drawn as evaluation draws its goals.

    All shards of a set have one point: their seeds share the set's entropy.
    """
    rng = np.random.default_rng(np.random.SeedSequence(seed.entropy))
    return ant_maze.sample_goal(maze, ant_maze.MAZES[maze].eval_goal, rng)


def describe(
    task_name: str, num_transitions: int, seed: np.random.SeedSequence
) -> dict[str, Any]:
    """What else fixes a set: the walker's weights and the point of its rewards (m)."""
    del num_transitions
    return {
        "weights": ant_walker.sha256()[:16],
        "reward_point": reward_point(recipe(task_name).maze, seed).tolist(),
    }


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
    point = reward_point(recipe.maze, seed)
    full, rest = divmod(num_transitions, EPISODE_STEPS)
    lengths = [EPISODE_STEPS] * full + [rest] * (rest > 0)
    shard = []
    for first in range(0, len(lengths), _BATCH):
        batch = lengths[first : first + _BATCH]
        goals, observations, actions = _simulate(recipe, len(batch), max(batch), rng)
        shard += [
            _episode(point, goals[i], observations[: t + 1, i], actions[:t, i])
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
        position = observations[t, :, :2]
        target = waypoint(recipe.maze, position, goal_cells, goals, rng)
        dx, dy = (target - position).T
        heading = np.arctan2(dy, dx)
        turns = ant_walker.update_turns(
            turns, observations[t], heading, CORNER_HYSTERESIS
        )
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
        data.qpos[:2] = rng.uniform(0.0, recipe.start_noise, 2)
    data.qpos[:2] += ant_maze.cell_center(recipe.maze, (cell[0], cell[1]))
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


def waypoint(
    maze: str,
    position: np.ndarray,
    goal_cells: np.ndarray,
    goals: np.ndarray,
    rng: np.random.Generator,
) -> np.ndarray:
    """Where the ants are sent: `[B, 2]`, m.

    The goal, once its cell is the next one; before, the center of the next cell plus
    a fresh U(0, 1) on both coordinates.

    Args:
      maze: name of the layout.
      position: `[B, 2]` of the ants, m.
      goal_cells: `[B, 2]` cells of their goals.
      goals: `[B, 2]`, m.
      rng: random numbers.
    """
    start = np.array(ant_maze.MAZES[maze].start)
    last = np.array(next_cells(maze).shape[2:4]) - 1
    # D4RL's cells begin at centers, so that an ant on its way to smaller coordinates
    # turns half a cell early and brushes walls, and may count as being inside one.
    cell = start + (np.maximum(position[:, ::-1], 1e-4) / ant_maze.CELL).astype(int)
    following = next_cells(maze)[*goal_cells.T, *np.minimum(cell, last).T]
    center = ant_maze.CELL * (following - start)[:, ::-1]
    arriving = np.all(following == goal_cells, axis=1, keepdims=True)
    return np.where(arriving, goals, center + rng.uniform(0.0, 1.0, position.shape))


@functools.cache
def next_cells(maze: str) -> np.ndarray:
    """The way through a maze: `[R, C, R, C, 2]` int.

    Entry `[goal row, goal column, row, column]` is the next cell on D4RL's shortest
    path from (row, column), a wall or not, to the goal. It is the cell itself at the
    goal, in walls without a free neighbor, and if the goal is in a wall.
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
    """Breadth-first search back from the goal: successors of free cells and of walls
    beside them."""
    successor = {goal: goal}
    queue = [goal]
    for row, column in queue:  # grows while it is read
        # D4RL's order; it decides between ways of equal length.
        for dr, dc in ((0, -1), (0, 1), (1, 0), (-1, 0)):
            neighbor = row + dr, column + dc
            if neighbor not in successor:
                successor[neighbor] = row, column
                if neighbor in free:
                    queue.append(neighbor)
    return successor


def _episode(
    point: np.ndarray, goal: np.ndarray, observations: np.ndarray, actions: np.ndarray
) -> episodes.Episode:
    """Labels one episode with rewards for being at a point."""
    offset = observations[1:, :2] - point
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
