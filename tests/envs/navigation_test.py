"""The navigation task: bookkeeping without noise, and three forms that agree."""

from __future__ import annotations

import gymnasium
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gymnasium.utils import env_checker

from gem_jax import envs
from gem_jax.data import tasks
from gem_jax.data.local import navigation as recipe
from gem_jax.envs import navigation, navigation_rollout

STITCH = ((10, 0), (10, 15), (20, 15), (20, 30), navigation.GOAL)


def test_obeys_gymnasium_and_its_task():
    envs.register_all()
    task = tasks.get("navigation-v0")
    env = gymnasium.make(task.env_id)
    assert env.spec.max_episode_steps == task.horizon == navigation.HORIZON
    assert env.observation_space.shape == (task.observation_size,)
    assert env.action_space.shape == (task.action_size,)
    env_checker.check_env(navigation.NavigationEnv(), skip_render_check=True)


def follow(goals):
    """Walks from the origin without noise; return, steps, and steps in the box."""
    env = navigation.NavigationEnv()
    env.reset(seed=0)
    env._position = position = np.zeros(2, np.float32)
    goals, rewards, done = [np.array(g, np.float32) for g in goals], [], False
    while not done:
        if np.linalg.norm(goals[0] - position) < navigation.ARRIVAL_RADIUS:
            goals = goals[1:]
        action = (goals[0] - position) / navigation.STEP  # clipped by the environment
        position, reward, done, _, _ = env.step(action)
        rewards.append(reward)
    return sum(rewards), len(rewards), rewards.count(-2.0)


@pytest.mark.parametrize(
    ("goals", "episode_return", "steps", "in_box"),
    [
        (recipe.SUBGOALS[0], -674, 600, 75),
        (recipe.SUBGOALS[1], -599, 450, 150),
        (STITCH, -299, 300, 0),
    ],
)
def test_bookkeeping_without_noise(goals, episode_return, steps, in_box):
    # Each corner may cost a step, and each edge of the box one more or less.
    assert follow(goals) == (
        pytest.approx(episode_return, abs=2),
        pytest.approx(steps, abs=2),
        pytest.approx(in_box, abs=2),
    )


def test_rewards_at_the_borders():
    positions = np.array(
        [[15, 10], [14.9, 5], [20, 10.1], [30, 0], [29.95, 29.95], [29.9, 29.9]],
        np.float32,
    )
    moved, reward, reached = navigation.transition(positions, np.zeros((6, 2)))
    np.testing.assert_array_equal(moved, positions)
    np.testing.assert_array_equal(reward, [-2, -1, -1, -2, 0, -1])
    np.testing.assert_array_equal(reached, [0, 0, 0, 0, 1, 0])


def test_steps_are_clipped_to_the_square_and_to_a_fifth():
    moved, *_ = navigation.transition(np.zeros((1, 2), np.float32), [[9.0, -9.0]])
    np.testing.assert_allclose(moved, [[0.2, 0.0]])


def aim(key, observation, t):
    """To the goal with noise, by a policy that also says how far it is."""
    toward = jnp.array(navigation.GOAL) - observation
    action = toward / 20.0 + 0.5 * jax.random.normal(key, (2,))
    return action, {"distance": jnp.linalg.norm(toward), "t": t}


def test_compiled_rollout_agrees_with_the_environment():
    key, start = jax.random.key(3), jnp.array([0.03, 0.07])
    walked = jax.jit(lambda: navigation_rollout.walk(aim, key, start))()
    env = navigation.NavigationEnv()
    env.reset(seed=0)
    env._position = position = np.asarray(start)
    total, done, t = 0.0, False, 0
    while not done:
        action, _ = aim(jax.random.fold_in(key, t), position, t)
        position, reward, done, _, _ = env.step(np.asarray(action))
        total, t = total + reward, t + 1
        np.testing.assert_allclose(position, walked.positions[t], atol=1e-3)
    assert (walked.lengths, walked.returns, walked.successes) == (t, total, True)
    rest = walked.positions[t:]
    np.testing.assert_array_equal(rest, np.broadcast_to(rest[0], rest.shape))
    assert walked.records["t"][-1] == navigation.HORIZON - 1


def test_rollouts_of_many_episodes_and_seeds():
    keys = jax.random.split(jax.random.key(0), 3)
    run = jax.jit(jax.vmap(lambda k: navigation_rollout.rollout(aim, k, 4, horizon=20)))
    result = run(keys)
    assert result.positions.shape == (3, 4, 21, 2)
    np.testing.assert_array_equal(result.returns, -20.0)
    np.testing.assert_array_equal(result.lengths, 20)
    starts = np.asarray(result.positions[:, :, 0]).reshape(-1, 2)
    assert len(np.unique(starts, axis=0)) == 12
    assert starts.min() >= 0.0 and starts.max() <= navigation.START_SIZE
