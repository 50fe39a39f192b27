"""The AntMaze environment against D4RL's facts and gymnasium's rules."""

from __future__ import annotations

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils import env_checker

from gem_jax import envs
from gem_jax.envs import ant_maze

STILL = np.zeros(ant_maze.ACTION_SIZE, np.float32)


def _place(env: ant_maze.AntMazeEnv, xy: np.ndarray) -> None:
    env._data.qpos[:2] = xy
    env._data.qvel[:] = 0.0


def test_physics_is_gymnasiums_ant_but_for_three_numbers() -> None:
    ours = ant_maze.make_model(None)
    theirs = gymnasium.make("Ant-v5").unwrapped.model
    for name in ("body_mass", "geom_size", "geom_friction", "dof_damping", "jnt_range"):
        np.testing.assert_array_equal(getattr(ours, name), getattr(theirs, name))
    assert ours.opt.timestep == 0.02
    assert ours.opt.integrator == mujoco.mjtIntegrator.mjINT_RK4
    np.testing.assert_array_equal(ours.actuator_gear[:, 0], 30.0)
    np.testing.assert_array_equal(ours.actuator_ctrlrange, [[-1.0, 1.0]] * 8)
    np.testing.assert_allclose(ours.geom_solimp[:, :3], [[0.8, 0.8, 0.01]] * 14)


@pytest.mark.parametrize(
    ("maze", "num_walls", "num_goals", "goal"),
    [
        ("umaze", 18, 1, (0, 8)),
        ("medium", 38, 3, (20, 20)),
        ("large", 62, 7, (32, 24)),
    ],
)
def test_layouts_are_those_of_d4rl(
    maze: str, num_walls: int, num_goals: int, goal: tuple[float, float]
) -> None:
    walls = ant_maze.cells(maze, "#")
    assert len(walls) == num_walls
    assert len(ant_maze.cells(maze, "g")) == num_goals
    layout = ant_maze.MAZES[maze]
    assert layout.start == ant_maze.cells(maze, "r")[0]
    assert layout.eval_goal in ant_maze.cells(maze)
    np.testing.assert_array_equal(ant_maze.cell_center(maze, layout.eval_goal), goal)
    model = ant_maze.make_model(maze)
    boxes = model.geom_type == mujoco.mjtGeom.mjGEOM_BOX
    centers = [ant_maze.cell_center(maze, cell) for cell in walls]
    np.testing.assert_allclose(model.geom_pos[boxes, :2], centers)
    np.testing.assert_array_equal(model.geom_pos[boxes, 2], 1.0)
    np.testing.assert_array_equal(model.geom_size[boxes], [[2.0, 2.0, 1.0]] * num_walls)


@pytest.mark.filterwarnings("ignore:.*(minimum|maximum) value is -?infinity")
def test_environment_passes_gymnasiums_checker() -> None:
    env_checker.check_env(ant_maze.AntMazeEnv("umaze"), skip_render_check=True)


def test_reset_is_deterministic_and_draws_a_new_goal_each_time() -> None:
    one, two = ant_maze.AntMazeEnv("medium"), ant_maze.AntMazeEnv("medium")
    first, _ = one.reset(seed=3)
    np.testing.assert_array_equal(first, two.reset(seed=3)[0])
    np.testing.assert_array_equal(one.goal, two.goal)
    goals = []
    for _ in range(200):
        observation, _ = one.reset()
        goals.append(one.goal - [20.0, 20.0])
        assert np.abs(observation[:2]).max() <= 0.1
    assert not np.array_equal(observation, first)
    # U(0, 1) + U(0, 0.5) on both coordinates.
    assert np.min(goals) >= 0.0
    assert np.max(goals) <= 1.5
    np.testing.assert_allclose(np.mean(goals, axis=0), 0.75, atol=0.1)


def test_observation_is_positions_then_velocities() -> None:
    env = ant_maze.AntMazeEnv("large")
    env.reset(seed=0)
    observation, *_ = env.step(0.5 * np.ones(8, np.float32))
    state = np.concatenate([env._data.qpos, env._data.qvel])
    np.testing.assert_array_equal(observation, state.astype(np.float32))
    assert observation.dtype == np.float32


@pytest.mark.parametrize(("distance", "success"), [(0.45, True), (0.55, False)])
def test_reward_and_end_within_half_a_meter(distance: float, success: bool) -> None:
    env = ant_maze.AntMazeEnv("umaze")
    env.reset(seed=0)
    _place(env, env.goal + [distance, 0.0])
    observation, reward, terminated, truncated, info = env.step(STILL)
    reached = np.linalg.norm(observation[:2] - env.goal)
    assert abs(reached - distance) < 0.04  # the ant hardly moved
    assert (reward, terminated, truncated) == (float(success), success, False)
    assert info["success"] is success


def test_a_fallen_ant_goes_on() -> None:
    env = ant_maze.AntMazeEnv("umaze")
    env.reset(seed=0)
    env._data.qpos[3:7] = [0.0, 1.0, 0.0, 0.0]  # upside down
    assert not any(env.step(STILL)[2] for _ in range(5))


def test_walls_stop_the_ant() -> None:
    env = ant_maze.AntMazeEnv("umaze")
    env.reset(seed=0)
    farthest = 0.0
    for _ in range(40):
        env._data.qvel[0] = -3.0  # towards the wall that starts at x = -2
        observation, *_ = env.step(STILL)
        farthest = min(farthest, observation[0])
    assert -2.0 < farthest < -0.5


def test_time_limits_and_a_second_registration() -> None:
    envs.register_all()
    envs.register_all()
    limits = {
        maze: gymnasium.spec(f"gem_jax/AntMaze-{maze}-v0").max_episode_steps
        for maze in ant_maze.MAZES
    }
    assert limits == {"umaze": 700, "medium": 1000, "large": 1000}
    env = gymnasium.make("gem_jax/AntMaze-umaze-v0", max_episode_steps=3)
    env.reset(seed=0)
    assert [env.step(STILL)[3] for _ in range(3)] == [False, False, True]
