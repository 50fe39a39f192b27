"""What OGBench's recipes make, against the physics and against OGBench's own script."""

from __future__ import annotations

import numpy as np
import pytest

from gem_jax.data import episodes, minari, tasks
from gem_jax.data.local import generate, ogbench_arm, ogbench_episodes
from gem_jax.data.local import ogbench_pointmaze as pointmaze
from gem_jax.data.ogbench import reading
from gem_jax.envs import ogbench

SETS = ("cube-double-play-v0", "scene-noisy-v0", "puzzle-3x3-noisy-v0")
STEPS = 30


def _seed():
    return np.random.SeedSequence(7)


@pytest.fixture(scope="module", params=SETS)
def arm(request):
    name = request.param
    return name, ogbench_arm.generate_shard(name, STEPS, _seed())


def test_arms_are_made_alike_twice(arm):
    name, [made] = arm
    np.random.seed(99)  # nobody asks for it
    [again] = ogbench_arm.generate_shard(name, STEPS, _seed())
    for field in ("observations", "actions"):
        np.testing.assert_array_equal(getattr(made, field), getattr(again, field))
    for info in made.infos:
        np.testing.assert_array_equal(made.infos[info], again.infos[info])


def test_states_are_those_of_the_observations(arm):
    """Six joint positions come first, then their velocities; buttons as one of two."""
    name, [made] = arm
    assert made.observations.shape[0] == STEPS + 1 and len(made) == STEPS
    assert made.truncations.tolist() == [False] * (STEPS - 1) + [True]
    np.testing.assert_array_equal(made.observations[:, :6], made.infos["qpos"][:, :6])
    np.testing.assert_array_equal(made.observations[:, 6:12], made.infos["qvel"][:, :6])
    if name.startswith("puzzle"):
        buttons = made.infos["button_states"]
        shown = made.observations[:, 19:].reshape(STEPS + 1, 9, 4)[..., 1]
        np.testing.assert_array_equal(shown, buttons)


def test_plans_are_smooth_and_noise_is_not():
    changes = []
    for kind in ("play", "noisy"):
        [made] = ogbench_arm.generate_shard(f"cube-single-{kind}-v0", 60, _seed())
        assert len(np.unique(made.actions, axis=0)) == 60
        changes.append(np.abs(np.diff(made.actions[:, :3], axis=0)).max(axis=1).mean())
    assert changes[0] < 0.5 * changes[1]


def test_an_episode_has_noise_of_its_own_and_worlds_their_shares():
    kinds = {"cube-single": (0.0, 0.1), "cube-double": (0.25, 0.1)}
    kinds |= {"scene": (0.5, 0.1), "puzzle-4x4": (0.5, 0.2)}
    for world, (most, random) in kinds.items():
        worker = ogbench_arm._Worker(None, {}, world, "noisy")
        assert worker._random_actions == random
        rng, seen = np.random.default_rng(0), []
        for _ in range(200):
            worker.draw(rng)
            seen.append((worker._stacking_chance, *worker._noise))
        chance, *noise = np.array(seen).T
        assert chance.max() <= most and (most != 0.5 or chance.min() == 0.5)
        assert chance.max() >= 0.9 * most
        assert 0.0 < noise[0].min() < 0.01 and 0.09 < noise[0].max() < 0.1
        np.testing.assert_allclose(noise[3], 3 * noise[0])
        np.testing.assert_allclose(noise[4], 10 * noise[0])


@pytest.mark.parametrize(
    ("y", "z", "kept"),
    [(0.0, 0.02, True), (0.29, 0.02, False), (-0.31, 0.02, False), (-0.31, 0.07, True)],
)
def test_scenes_without_their_cube_are_made_anew(monkeypatch, y, z, kept):
    """But the drawer, at height 0.07 and beyond the table's edge, may hold it."""
    made = []

    def record(env, behavior, steps, seed):
        lost = not made  # the first alone
        made.append(seed)
        qpos = np.zeros((steps + 1, 25))
        qpos[steps // 2, 15:17] = (y, z) if lost else (0.0, 0.02)
        flags = np.zeros(steps, bool)
        return episodes.Episode(qpos, qpos[1:], flags, flags, flags, {"qpos": qpos})

    monkeypatch.setattr(ogbench_episodes, "record", record)
    worker = ogbench_arm._Worker(None, {}, "scene", "play")
    ogbench_arm._episode(worker, "scene", 4, _seed())
    assert len(set(made)) == len(made) == (1 if kept else 2)


@pytest.mark.parametrize("maze", ["medium", "large"])
def test_navigation_goes_through_the_maze_by_steps_of_the_physics(maze):
    made = pointmaze.generate_shard(f"pointmaze-{maze}-navigate-v0", 2_500, _seed())
    assert [len(e) for e in made] == [1000, 1000, 500]
    env = ogbench.make_recorder(f"pointmaze-{maze}")
    env.reset(seed=0)
    world = env.unwrapped
    for episode in made:
        np.testing.assert_array_equal(episode.observations, episode.infos["qpos"])
        cells = {world.xy_to_ij(xy) for xy in episode.observations.tolist()}
        assert all(world.maze_map[cell] == 0 for cell in cells) and len(cells) > 10
        world.set_xy(episode.observations[0])
        for t in range(50):
            observation, *_ = env.step(episode.actions[t])
            np.testing.assert_allclose(
                observation, episode.observations[t + 1], atol=1e-3
            )
            world.set_xy(episode.observations[t + 1])
    # Unit steps towards the next cell, plus noise of 0.5 in each direction.
    length = np.linalg.norm(np.concatenate([e.actions for e in made]), axis=1).mean()
    assert 0.9 < length < 1.1


def test_stitches_end_four_cells_from_their_start():
    made = pointmaze.generate_shard("pointmaze-large-stitch-v0", 4_000, _seed())
    assert [len(e) for e in made] == [200] * 20
    world = ogbench.make_recorder("pointmaze-large").unwrapped
    distances = []
    for episode in made:
        start, end = episode.observations[0], episode.observations[-1]
        distance = world.get_oracle_subgoal(start, end)[1]
        distances.append(int(distance[world.xy_to_ij(start)]))
    assert np.mean(np.array(distances) == 4) > 0.8 and max(distances) <= 5


def test_goals_are_no_hallways():
    walker = pointmaze._Walker(ogbench.make_recorder("pointmaze-medium"))
    assert len(walker.cells) == 26
    assert (2, 2) in walker.ends and (1, 1) in walker.ends  # crossing and corner
    assert (5, 1) not in walker.ends and (5, 6) not in walker.ends  # up or down only


TASK = tasks.get("pointmaze-medium-navigate-singletask-v0")


def _bytes(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_same_bytes_for_any_number_of_workers(tmp_path, monkeypatch):
    monkeypatch.setattr(pointmaze, "MIN_SHARD", 1_000, raising=False)
    found = []
    for workers in (1, 2):
        monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / str(workers)))
        made = generate.ensure(
            reading.as_recorded(TASK),
            num_transitions=2_500,
            num_workers=workers,
            show_progress=False,
            log=lambda line: None,
        )
        assert made == "gem-jax/pointmaze-medium-navigate-v0/local-s0-n2500-v1"
        found.append(_bytes(minari.data_folder(made)))
    assert found[0] == found[1]
    text = found[0]["metadata.json"].decode()
    assert '"ogbench": "1.' in text and "This is not OGBench's own" in text


def test_shards_of_slow_recipes_are_smaller():
    arm = reading.as_recorded(tasks.get("cube-single-play-singletask-v0"))
    for task, count in ((arm, 4), (reading.as_recorded(TASK), 2)):
        pieces = generate._pieces(task, 0, 20_000)
        assert len(pieces) == count and {size % 1000 for _, size, _ in pieces} == {0}
