"""The locally generated AntMaze data: steering, ways, relabeling, determinism."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from experiments.behaviors import ant_measures
from gem_jax import data
from gem_jax.data import tasks
from gem_jax.data.local import ant_maze as behavior
from gem_jax.data.local import ant_walker, generate
from gem_jax.envs import ant_maze

_WAY = behavior.Recipe("umaze", ((1, 1),), 0.0, ((3, 1),))


@pytest.mark.parametrize("turns", range(4))
@pytest.mark.parametrize("heading", [0.4, -2.5])
def test_steering_is_an_exact_symmetry_of_the_ant(turns: int, heading: float) -> None:
    """A turned ant with renamed legs moves as the ant itself, seen turned."""
    rng = np.random.default_rng(turns)
    model = ant_maze.make_model(None)
    real, turned = mujoco.MjData(model), mujoco.MjData(model)
    ant_maze.reset_data(real, model, rng)
    batch_heading, batch_turns = np.array([heading]), np.array([turns])

    def steered(data: mujoco.MjData) -> np.ndarray:
        mujoco.mj_normalizeQuat(model, data.qpos)
        raw = np.concatenate([data.qpos, data.qvel])[None]
        return ant_walker.steer_observation(raw, batch_heading, batch_turns)[0]

    view = steered(real)
    turned.qpos[2:], turned.qvel[:] = view[:13], view[13:]
    for _ in range(8):
        action = rng.uniform(-1.0, 1.0, (1, 8))
        turned.ctrl[:] = action[0]
        real.ctrl[:] = ant_walker.steer_action(action, batch_turns)[0]
        mujoco.mj_step(model, turned, nstep=5)
        mujoco.mj_step(model, real, nstep=5)
    expected = np.concatenate([turned.qpos[2:], turned.qvel])
    np.testing.assert_allclose(steered(real), expected, atol=1e-4)


def test_legs_are_renamed_with_hysteresis() -> None:
    def turns_at(yaw: float, turns: int) -> int:
        observation = np.zeros((1, 29), np.float32)
        observation[0, 3], observation[0, 6] = np.cos(yaw / 2), np.sin(yaw / 2)
        heading = np.zeros(1)
        return int(ant_walker.update_turns(np.array([turns]), observation, heading)[0])

    border = np.pi / 4
    assert [turns_at(k * np.pi / 2, 0) for k in (0, 1, 2, -1)] == [0, 3, 2, 1]
    assert turns_at(border + 0.1, 0) == 0
    assert turns_at(border + 0.2, 0) == 3
    assert turns_at(border - 0.1, 3) == 3


@pytest.mark.parametrize("maze", ant_maze.MAZES)
def test_every_way_ends_at_its_goal_through_free_cells(maze: str) -> None:
    table = behavior.next_cells(maze)
    free = ant_maze.cells(maze)
    for goal in free:
        for cell in free:
            steps = 0
            while cell != goal:
                following = tuple(table[*goal, *cell].tolist())
                assert following in free
                assert sum(map(abs, np.subtract(following, cell))) == 1
                cell, steps = following, steps + 1
                assert steps < len(free)


def test_waypoints_are_those_of_d4rl() -> None:
    """By hand, in the U: cells begin at centers, and walls beside the way are cells."""
    low_corner = {  # of the unit square that the waypoint is drawn from
        (0.0, 0.0): (4, 0),
        (-1.5, 3.0): (4, 0),
        (7.9, -0.5): (8, 0),
        (8.1, 0.1): (8, 4),
        (8.1, 7.9): (8, 8),
        (7.9, 5.0): (4, 8),  # counts as the wall inside the U
        (8.1, 8.1): (4, 8),
    }
    at_goal = [(7.9, 8.5), (3.9, 9.0), (0.3, 9.4), (0.30001, 9.4)]
    position = np.array([*low_corner, *at_goal])
    goal_cells = np.full((len(position), 2), (3, 1))
    goals = np.full((len(position), 2), (0.3, 9.4))
    rng = np.random.default_rng(0)
    drawn = np.array(
        [
            behavior.waypoint("umaze", position, goal_cells, goals, rng)
            for _ in range(400)
        ]
    )
    count = len(low_corner)
    np.testing.assert_array_equal(
        drawn[:, count:], np.broadcast_to((0.3, 9.4), (400, 4, 2))
    )
    jitter = drawn[:, :count] - np.array(list(low_corner.values()))
    assert 0.0 <= jitter.min() < 0.01 and 0.99 < jitter.max() <= 1.0
    np.testing.assert_allclose(jitter.mean((0, 1)), 0.5, atol=0.03)


def test_recipes_are_those_of_d4rls_script() -> None:
    umaze = behavior.recipe("antmaze-umaze-v2")
    assert (umaze.starts, umaze.goals, umaze.start_noise) == (((1, 1),), ((3, 1),), 0.0)
    goals = {
        "umaze": {(3, 1)},
        "medium": {(2, 6), (5, 1), (6, 5)},  # not (6, 6), where evaluation goes
        "large": {(1, 6), (3, 5), (3, 10), (5, 2), (7, 4), (7, 6), (7, 9)},
    }
    for name in (
        *("umaze-diverse", "medium-play", "medium-diverse"),
        *("large-play", "large-diverse"),
    ):
        recipe = behavior.recipe(f"antmaze-{name}-v2")
        maze = name.partition("-")[0]
        assert recipe.maze == maze and recipe.start_noise == 1.0
        assert set(recipe.goals) == goals[maze]
        assert set(recipe.starts) == set(ant_maze.cells(maze)) - goals[maze]


def test_a_set_has_one_reward_point_and_other_sets_others() -> None:
    names = [name for name in tasks.table() if name.startswith("antmaze-")]
    found = set()
    for name, seed in [(name, seed) for name in names for seed in (0, 1)]:
        task = tasks.get(name)
        point = generate.recipe_of(task, seed, 100_000)["reward_point"]
        maze = behavior.recipe(name).maze
        pieces = generate._pieces(task, seed, 100_000)
        assert len(pieces) == 10
        for _, _, shard_seed in pieces:
            assert behavior.reward_point(maze, shard_seed).tolist() == point
        found.add(tuple(point))
    assert len(found) == 12


def test_reward_points_are_drawn_as_goals_of_evaluation() -> None:
    seeds = map(np.random.SeedSequence, range(2_000))
    points = np.array([behavior.reward_point("medium", seed) for seed in seeds])
    offset = points - 20.0  # the center of the cell (6, 6)
    assert offset.min() >= 0.0 and offset.max() <= 1.5
    np.testing.assert_allclose(offset.mean(0), 0.75, atol=0.03)
    # Of U(0, 1) + U(0, 0.5), each coordinate by itself.
    np.testing.assert_allclose(np.cov(offset.T), np.eye(2) * 1.25 / 12, atol=0.01)


def test_rewards_are_made_for_the_point_that_the_recipe_names() -> None:
    found, provenance = data.read(
        "antmaze-umaze-v2", "local", seed=2, num_transitions=300, progress=False
    )
    (episode,) = found
    point = provenance.to_dict()["recipe"]["reward_point"]
    distance = np.linalg.norm(episode.observations[1:, :2] - np.array(point), axis=1)
    assert (distance <= 0.5).any()
    np.testing.assert_array_equal(episode.rewards, distance <= 0.5)
    np.testing.assert_array_equal(episode.terminations, episode.rewards == 1.0)


def test_the_same_seed_gives_the_same_bytes_and_another_does_not() -> None:
    def generate(seed: int) -> list[bytes]:
        shard = behavior.generate_shard(
            "antmaze-large-diverse-v2", 60, np.random.SeedSequence(seed)
        )
        arrays = [shard[0].observations, shard[0].actions, *shard[0].infos.values()]
        return [array.tobytes() for array in arrays]

    assert generate(1) == generate(1)
    assert generate(1) != generate(2)


def test_a_shard_has_the_layout_of_d4rl(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behavior, "EPISODE_STEPS", 20)
    shard = behavior.generate(
        behavior.recipe("antmaze-medium-play-v2"), 50, np.random.SeedSequence(0)
    )
    assert [len(episode) for episode in shard] == [20, 20, 10]
    for episode in shard:
        steps = len(episode)
        assert episode.observations.shape == (steps + 1, 29)
        assert episode.actions.shape == (steps, 8)
        assert np.abs(episode.actions).max() <= 1.0
        assert episode.truncations.tolist() == [False] * (steps - 1) + [True]
        shapes = {name: info.shape for name, info in episode.infos.items()}
        assert shapes == {"goal": (steps, 2), "qpos": (steps, 15), "qvel": (steps, 14)}
        arrays = [episode.observations, episode.actions, episode.rewards]
        assert {array.dtype for array in arrays} == {np.dtype(np.float32)}
        assert {episode.terminations.dtype, episode.truncations.dtype} == {
            np.dtype(bool)
        }


def test_the_walker_reaches_its_goal_and_runs_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It comes back and leaves again: whoever stops at the goal has one visit."""
    monkeypatch.setattr(behavior, "EPISODE_STEPS", 300)
    way = behavior.Recipe("umaze", ((3, 2),), 0.0, ((3, 1),))
    shard = behavior.generate(way, 4 * 300, np.random.SeedSequence(0))
    arrivals, visits = 0, []
    for episode in shard:
        np.testing.assert_allclose(episode.observations[0, :2], [4.0, 8.0], atol=0.1)
        offset = episode.observations[1:, :2] - episode.infos["goal"]
        inside = np.linalg.norm(offset, axis=1) <= 0.5
        arrivals += bool(inside.any())
        visits.append(np.sum(inside[1:] & ~inside[:-1]))
    assert arrivals >= 3  # an ant may fall
    assert np.mean(visits) >= 5


def test_rewards_are_counted_for_any_point(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(behavior, "EPISODE_STEPS", 2)
    way = behavior.recipe("antmaze-umaze-v2")
    shard = behavior.generate(way, 4, np.random.SeedSequence(0))
    # The cell of evaluation's goal is centered at (0, 8).
    shard[0].observations[:, :2] = [(0.2, 8.2), (0.2, 8.69), (0.2, 8.71)]
    shard[1].observations[:, :2] = [(0.2, 8.2), (0.71, 8.2), (8.0, 8.0)]
    assert ant_measures.rewarded(shard, "umaze", (0.2, 0.2)) == (0.25, 0.5)
    # Turned about x by 0, 0.6 pi and pi; about z and y by less than half of pi.
    for episode, turns in zip(shard, [(0.0, 0.6, 1.0), (0.0, 1.0, 0.4)]):
        half = np.pi * np.array(turns) / 2
        episode.observations[:, 3:7] = 0.0
        episode.observations[:, 3], episode.observations[:, 4] = (
            np.cos(half),
            np.sin(half),
        )
    shard[1].observations[2, 3:7] = np.cos(0.7), 0.0, np.sin(0.7), 0.0
    assert ant_measures.upside_down(shard) == (0.75, 0.5)


def test_how_episodes_end_by_hand() -> None:
    """Ten steps of 0.1 m to the goal, on the back from the sixth, and on the spot."""
    walk = np.zeros((11, 29))
    walk[:, 0], walk[:, 3] = 0.1 * np.arange(11), 1.0
    falls, stays = walk.copy(), walk.copy()
    falls[6:, 3:5] = 0.0, 1.0
    stays[:, 0] = 0.0
    found = ant_measures.endings([walk[:10], falls, stays], horizon=10)
    assert [found[n] for n in ("at the goal", "on its back", "still")] == [1 / 3] * 3
    assert found["upright"] == pytest.approx(24 / 29)
    assert found["m an upright step"] == pytest.approx(14 * 0.1 / 24)
