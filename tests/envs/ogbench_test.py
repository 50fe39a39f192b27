import importlib
import os
import tempfile
import threading

import gymnasium
import numpy as np
import pytest

from gem_jax import envs, errors, ogbench_worlds
from gem_jax.envs import ogbench

POINT = ogbench_worlds.env_id("pointmaze-medium", 1)
ARM = ogbench_worlds.env_id("cube-double", 2)


def _episode(env, seed, steps=5):
    """Observations and rewards under actions that depend on the seed alone."""
    rng = np.random.default_rng(seed)
    seen = [env.reset(seed=seed)[0]]
    for _ in range(steps):
        action = rng.uniform(-1.0, 1.0, env.action_space.shape)
        observation, reward, *_ = env.step(action.astype(np.float32))
        seen.append(np.append(observation, reward)[1:])
    return np.concatenate(seen)


@pytest.mark.parametrize("env_id", [POINT, ARM])
def test_a_seed_fixes_an_episode_whatever_was_before(env_id):
    fresh, used = envs.make(env_id), envs.make(env_id)
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    other = _episode(used, 4)
    np.random.seed(2)
    used.reset()  # draws of its own
    again = _episode(used, 3)
    np.random.seed(1)
    np.testing.assert_array_equal(_episode(fresh, 3), again)
    # Resets take random steps, of which little is left to see.
    spaces = (env.unwrapped.action_space for env in (fresh, used))
    np.testing.assert_array_equal(*(space.sample() for space in spaces))
    assert not np.array_equal(other, again)
    np.testing.assert_array_equal(np.random.get_state()[1], before)  # as it was


def test_threads_draw_one_after_the_other():
    entered = threading.Event()

    def draw():
        with ogbench.global_draws(1):
            entered.set()

    with ogbench.global_draws(0):
        other = threading.Thread(target=draw)
        other.start()
        with ogbench.global_draws(2):  # as a reset within an episode of data
            assert not entered.wait(0.05)
    other.join()
    assert entered.is_set()


def test_worlds_are_what_ogbench_says():
    """But for the sizes of observations, which its registry does not hold."""
    importlib.import_module("ogbench")
    for world, facts in ogbench_worlds.WORLDS.items():
        published = gymnasium.spec(f"{world}-singletask-v0")
        ours = gymnasium.spec(ogbench_worlds.env_id(world, facts.default_task))
        assert published.max_episode_steps == ours.max_episode_steps == facts.horizon
        assert published.kwargs["success_timing"] == "pre"


@pytest.mark.parametrize(("world", "task"), [("puzzle-3x3", 4), ("pointmaze-large", 1)])
def test_default_tasks_and_sizes(world, task):
    facts = ogbench_worlds.WORLDS[world]
    default = ogbench._make(f"{world}-singletask-v0")
    observation, _ = default.reset(seed=0)
    assert observation.shape == (facts.observation_size,)
    assert default.action_space.shape == (facts.action_size,)
    assert default.unwrapped._reward_task_id == facts.default_task == task


def test_rewards_are_of_the_state_that_an_action_leaves():
    env = envs.make(POINT)
    env.reset(seed=0)
    maze = env.unwrapped
    goal = np.array(maze.cur_goal_xy)
    maze.set_xy(goal + [1.1, 0.0])  # the goal's radius is 1
    action = np.array([-1.0, 0.0], np.float32)  # moves by 0.2
    _, reward, terminated, _, info = env.step(action)
    assert (reward, terminated, info["success"]) == (-1.0, False, 0.0)
    assert np.linalg.norm(maze.get_xy() - goal) < 1.0
    _, reward, terminated, _, info = env.step(-2 * action)
    assert (reward, terminated, info["success"]) == (0.0, True, 1.0)
    assert np.linalg.norm(maze.get_xy() - goal) > 1.0


def test_no_files_stay(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    envs.make(POINT)
    assert os.listdir(tmp_path) == [] and tempfile.tempdir == str(tmp_path)


def test_few_arms_at_a_time():
    assert envs.most_alive(ARM, 128) == 10
    assert envs.most_alive(POINT, 128) == 128
    assert envs.most_alive("HalfCheetah-v4", 128) == 128


@pytest.mark.parametrize("use", [lambda: envs.make(POINT), ogbench.version])
def test_without_the_extra_one_line_says_what_to_install(use, monkeypatch):
    present = importlib.import_module

    def without(name, *rest):
        if name.startswith("ogbench"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
        return present(name, *rest)

    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib, "import_module", without)
    monkeypatch.setattr(importlib.metadata, "version", unknown)
    with pytest.raises(
        errors.UserError, match=r"pip install 'gem_jax\[ogbench\]'"
    ) as e:
        use()
    assert "\n" not in str(e.value)
