from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from gem_jax.data import tasks
from gem_jax.data.local import maze2d
from gem_jax.envs import point_maze

STEPS = 6_000


@pytest.fixture(scope="module", params=point_maze.MAZES)
def shard(request):
    name = f"maze2d-{request.param}-v1"
    seed = np.random.SeedSequence(0)
    return tasks.get(name), maze2d.generate_shard(name, STEPS, seed)


def test_one_trajectory_cut_in_pieces(shard):
    task, found = shard
    assert sum(map(len, found)) == STEPS
    for before, after in itertools.pairwise(found):
        np.testing.assert_array_equal(before.observations[-1], after.observations[0])
        assert len(before) <= task.horizon + 1
        assert before.truncations.sum() == 1 and before.truncations[-1]
        assert not before.terminations.any()


def test_every_episode_but_the_last_reaches_its_goal(shard):
    _, found = shard
    for episode in found[:-1]:
        position = episode.observations[-2, :2]
        assert np.linalg.norm(position - episode.infos["goal"][-1]) < 0.11
        assert len(np.unique(episode.infos["goal"], axis=0)) == 1


def test_rewards_are_those_of_the_environment(shard):
    task, found = shard
    goal = point_maze.goal_cell(task.name.split("-")[1])
    for episode in found:
        distance = np.linalg.norm(episode.observations[1:, :2] - goal, axis=1)
        clear = np.abs(distance - 0.5) > 1e-5
        np.testing.assert_array_equal(
            episode.rewards[clear], distance[clear] <= point_maze.GOAL_RADIUS
        )


def test_recorded_actions_lead_where_recorded(shard):
    task, found = shard
    env = point_maze.PointMazeEnv(task.name.split("-")[1])
    env.reset(seed=0)
    for episode in found[:5]:
        env._data.qpos[:] = episode.observations[0, :2]
        env._data.qvel[:] = episode.observations[0, 2:]
        for t in range(min(len(episode), 20)):
            observation, *_ = env.step(episode.actions[t])
        np.testing.assert_allclose(observation, episode.observations[t + 1], atol=2e-3)


def test_paths_are_shortest():
    follower = maze2d._Follower("large", np.random.default_rng(0))
    for start, target in itertools.product(follower._cells, repeat=2):
        follower.target = target
        path = [(math.ceil(x), math.ceil(y)) for x, y in follower._plan(start)]
        assert path[-1] == target
        # The target is waited for even where it is the start.
        assert len(path) == max(follower._distances[target][start], 1)
        for (x, y), (u, v) in itertools.pairwise([start, *path]):
            assert abs(u - x) + abs(v - y) == (start != target)


def test_seeds_fix_everything():
    name = "maze2d-medium-v1"
    first, second, other = (
        maze2d.generate_shard(name, 500, np.random.SeedSequence(seed))
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(first[0].observations, second[0].observations)
    assert not np.array_equal(first[0].observations, other[0].observations)
