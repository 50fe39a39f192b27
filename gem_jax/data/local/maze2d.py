"""D4RL's recipe for the maze2d sets: a noisy waypoint follower that is never reset.

The follower walks to a random free cell along a shortest path of cells, then to the
next one. Rewards are those of the evaluation goal, which it does not know of. As in
D4RL the path is planned once, when the target cell changes: a target drawn in the
cell where the mass already stands counts as reached at once, and a target given up
at the time limit leaves no trace but the place where the next path starts.

Two slips of the original are not repeated (data with the same distribution, cleaner
bookkeeping): rewards belong to the state that the step led to, as in the environment,
where D4RL's file lags by one step; and the observation at which a target is reached
is not recorded twice.
"""

from __future__ import annotations

import collections

import numpy as np

from gem_jax.data import episodes, tasks
from gem_jax.envs import point_maze

VERSION = 1

_MOVES = ((0, 0), (0, -1), (0, 1), (-1, 0), (1, 0))  # earlier wins a tie, as in D4RL
_GAIN = 10.0  # force per meter to the waypoint
_DAMPING = 1.0  # force per meter per second
_ARRIVAL_RADIUS = 0.1  # meters
_WAYPOINT_JITTER = 0.2  # meters; one-sided, since a free cell is off its corner
_ACTION_NOISE = 0.5

Cell = tuple[int, int]


def generate_shard(
    task_name: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Records one trajectory, cut where a target is reached or given up.

    Args:
      task_name: a maze2d task.
      num_transitions: steps to record.
      seed: fixes every draw.

    Returns:
      Episodes that follow each other without a reset: the last observation of one is
      the first of the next. ``infos["goal"]`` `[T, 2]` is the target's (x, y).
    """
    task = tasks.get(task_name)
    maze, horizon = task.world, task.horizon
    rng = np.random.default_rng(seed)
    noise = rng.normal(0.0, _ACTION_NOISE, (num_transitions, 2)).tolist()
    observations = np.empty((num_transitions + 1, 4), np.float32)
    actions = np.empty((num_transitions, 2), np.float32)
    rewards = np.empty(num_transitions, np.float32)
    goals = np.empty((num_transitions, 2), np.float32)
    cuts = np.zeros(num_transitions, bool)

    env = point_maze.PointMazeEnv(maze)
    follower = _Follower(maze, rng)
    observations[0], _ = env.reset(seed=int(rng.integers(2**31)))
    follower.aim_anew(observations[0])
    steps = 0
    for t in range(num_transitions):
        force, reached = follower.act(observations[t])
        goals[t] = follower.target
        actions[t] = [_clip(f + n) for f, n in zip(force, noise[t], strict=True)]
        observations[t + 1], rewards[t], *_ = env.step(actions[t])
        steps += 1
        if reached or steps > horizon:
            cuts[t], steps = True, 0
            follower.aim_anew(observations[t + 1])
    cuts[-1] = True
    return _cut(observations, actions, rewards, goals, cuts)


class _Follower:
    """A proportional-derivative controller along a shortest path of cells."""

    def __init__(self, maze: str, rng: np.random.Generator) -> None:
        self.target: Cell = (-1, -1)
        self._cells = point_maze.free_cells(maze)
        self._distances = {cell: _distances(self._cells, cell) for cell in self._cells}
        self._rng = rng
        self._waypoints: collections.deque[tuple[float, float]] = collections.deque()

    def aim_anew(self, observation: np.ndarray) -> None:
        """Draws a target; plans to it unless its cell is the old target's."""
        target = self._cells[self._rng.integers(len(self._cells))]
        if target != self.target:
            self.target = target
            x, y = observation[:2].tolist()
            self._waypoints = self._plan(point_maze.cell_at(x, y))

    def act(self, observation: np.ndarray) -> tuple[tuple[float, float], bool]:
        """Returns the force on x and y in [-1, 1], and if the target is reached."""
        x, y, vx, vy = observation.tolist()
        reached = _near(x, y, self.target)
        wx, wy = self.target if reached else self._waypoints[0]
        if not reached and len(self._waypoints) > 1 and _near(x, y, (wx, wy)):
            self._waypoints.popleft()  # followed from the next step on
        force = (
            _clip(_GAIN * (wx - x) - _DAMPING * vx),
            _clip(_GAIN * (wy - y) - _DAMPING * vy),
        )
        return force, reached

    def _plan(self, start: Cell) -> collections.deque[tuple[float, float]]:
        distance = self._distances[self.target]
        path, cell = [], start
        while cell != self.target:
            neighbors = ((cell[0] + i, cell[1] + j) for i, j in _MOVES)
            cell = min(neighbors, key=lambda c: distance.get(c, np.inf))
            jitter = _WAYPOINT_JITTER * self._rng.uniform(size=2)
            path.append((cell[0] - float(jitter[0]), cell[1] - float(jitter[1])))
        return collections.deque([*path[:-1], self.target])


def _distances(cells: list[Cell], target: Cell) -> dict[Cell, int]:
    """Steps from every cell to ``target``, by breadth-first search."""
    distance, queue = {target: 0}, collections.deque([target])
    while queue:
        cell = queue.popleft()
        for i, j in _MOVES:
            neighbor = (cell[0] + i, cell[1] + j)
            if neighbor in cells and neighbor not in distance:
                distance[neighbor] = distance[cell] + 1
                queue.append(neighbor)
    return distance


def _cut(
    observations: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    goals: np.ndarray,
    cuts: np.ndarray,
) -> list[episodes.Episode]:
    ends = np.flatnonzero(cuts) + 1
    starts = np.concatenate([[0], ends[:-1]])
    return [
        episodes.Episode(
            observations=observations[start : end + 1],
            actions=actions[start:end],
            rewards=rewards[start:end],
            terminations=np.zeros(end - start, bool),
            truncations=cuts[start:end],
            infos={"goal": goals[start:end]},
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def _near(x: float, y: float, point: tuple[float, float]) -> bool:
    return (x - point[0]) ** 2 + (y - point[1]) ** 2 < _ARRIVAL_RADIUS**2


def _clip(value: float) -> float:
    return min(max(value, -1.0), 1.0)
