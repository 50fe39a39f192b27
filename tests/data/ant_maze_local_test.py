"""The locally generated AntMaze data: steering, ways, relabeling, determinism."""

from __future__ import annotations

import mujoco
import numpy as np
import pytest

from gem_jax.data.local import ant_maze as behavior
from gem_jax.data.local import ant_walker
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


def test_recipes_tell_the_data_sets_apart() -> None:
    umaze = behavior.recipe("antmaze-umaze-v2")
    assert (umaze.starts, umaze.goals, umaze.start_noise) == (((1, 1),), ((3, 1),), 0.0)
    play = behavior.recipe("antmaze-medium-play-v2")
    assert set(play.goals) == {(2, 6), (5, 1), (6, 5), (6, 6)}
    assert not set(play.starts) & set(ant_maze.cells("medium", "g"))
    diverse = behavior.recipe("antmaze-large-diverse-v2")
    assert set(diverse.starts) == set(ant_maze.cells("large"))
    assert set(diverse.goals) == set(ant_maze.cells("large", "g"))
    anywhere = behavior.recipe("antmaze-umaze-diverse-v2")
    assert set(anywhere.starts) == set(anywhere.goals) == set(ant_maze.cells("umaze"))


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


def test_the_walker_reaches_its_goal_and_rewards_follow_positions(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(behavior, "EPISODE_STEPS", 300)
    shard = behavior.generate(_WAY, 4 * 300, np.random.SeedSequence(0))
    arrivals = 0
    for episode in shard:
        position = episode.observations[1:, :2]
        to_own = np.linalg.norm(position - episode.infos["goal"], axis=1)
        arrivals += bool(to_own.min() <= 0.5)
        to_eval = np.linalg.norm(position - np.array([0.75, 8.75]), axis=1)
        np.testing.assert_array_equal(episode.rewards, to_eval <= 0.5)
        np.testing.assert_array_equal(episode.terminations, episode.rewards == 1.0)
    assert arrivals >= 3  # an ant may fall
