from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.utils import env_checker

from gem_jax import envs, errors
from gem_jax.data import tasks
from gem_jax.envs import point_maze


@pytest.mark.filterwarnings("ignore:.*A Box observation space")
@pytest.mark.parametrize("maze", point_maze.MAZES)
def test_obeys_gymnasium_and_its_task(maze):
    envs.register_all()
    task = tasks.get(f"maze2d-{maze}-v1")
    env = gymnasium.make(task.env_id)
    assert env.spec.max_episode_steps == task.horizon
    assert env.observation_space.shape == (task.observation_size,)
    assert env.action_space.shape == (task.action_size,)
    env_checker.check_env(point_maze.PointMazeEnv(maze), skip_render_check=True)


def test_goals_are_those_of_d4rl():
    goals = {maze: point_maze.goal_cell(maze) for maze in point_maze.MAZES}
    assert goals == {"umaze": (1, 1), "medium": (6, 6), "large": (7, 9)}


def test_random_policy_scores_about_zero():
    env, task = point_maze.PointMazeEnv("umaze"), tasks.get("maze2d-umaze-v1")
    rng = np.random.default_rng(0)
    env.reset(seed=0)
    returns = []
    for _ in range(400):
        env.reset()
        actions = rng.uniform(-1, 1, (task.horizon, 2)).astype(np.float32)
        returns.append(sum(env.step(action)[1] for action in actions))
    # D4RL's reference is 23.85; the standard error here is about 2.6.
    assert abs(np.mean(returns) - task.min_score) < 8.0


def test_reward_is_one_within_half_a_meter():
    env = point_maze.PointMazeEnv("large")
    env.reset(seed=0)
    for x, success in ((7.0, True), (6.51, True), (6.49, False)):
        env._data.qpos[:], env._data.qvel[:] = (x, 9.0), 0.0
        _, reward, terminated, truncated, info = env.step(np.zeros(2, np.float32))
        assert (reward, info["success"]) == (float(success), success)
        assert not terminated and not truncated


@pytest.mark.parametrize("maze", point_maze.MAZES)
def test_walls_hold_and_speed_is_bounded(maze):
    env, rng = point_maze.PointMazeEnv(maze), np.random.default_rng(1)
    cells = set(point_maze.free_cells(maze))
    observation, _ = env.reset(seed=1)
    for _ in range(100):
        action = rng.uniform(-1, 1, 2)
        for _ in range(40):  # long pushes into walls
            observation, *_ = env.step(action)
            assert point_maze.cell_at(*observation[:2].tolist()) in cells
            assert np.abs(observation[2:]).max() < point_maze.MAX_SPEED + 0.3


def test_actions_are_clipped():
    env = point_maze.PointMazeEnv("umaze")
    steps = []
    for action in ([1.0, -1.0], [7.0, -7.0]):
        env.reset(seed=3)
        steps.append(env.step(np.array(action, np.float32))[0])
    np.testing.assert_array_equal(*steps)


def test_unknown_maze():
    with pytest.raises(errors.UserError, match="umaze, medium, large"):
        point_maze.PointMazeEnv("giant")
