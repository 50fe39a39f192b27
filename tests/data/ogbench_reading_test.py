"""OGBench's files and rewards, against its own loader and against NumPy."""

from __future__ import annotations

import importlib.metadata

import layout_files
import numpy as np
import ogbench
import pytest

from gem_jax import data, errors
from gem_jax.data import behavior_scores, inspection, minari, publishers, tasks
from gem_jax.data.local import writer
from gem_jax.data.ogbench import reading
from gem_jax.training import results
from gem_jax.utils import memory

ROWS, LENGTH = 24, 8  # three trajectories
POINT = tasks.get("pointmaze-large-navigate-singletask-task3-v0")
# Goals of cube-double's task 5, a stack, and of scene's task 2, from OGBench's paper.
CUBES = np.array([[0.425, 0.0, 0.02], [0.425, 0.0, 0.06]])


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Port 9 of this machine refuses at once."""
    monkeypatch.setattr(publishers.OGBENCH, "url", "http://127.0.0.1:9/")


def _arrays(task, states, **changes):
    rng = np.random.default_rng(0)
    return {
        "observations": rng.normal(size=(ROWS, task.observation_size)),
        "actions": rng.uniform(-1.0, 1.0, (ROWS, task.action_size)),
        "terminals": np.arange(ROWS) % LENGTH == LENGTH - 1,
        **states,
        **changes,
    }


def _write(folder, arrays):
    for name in ("x.npz", "x-val.npz"):
        np.savez_compressed(folder / name, **arrays)
    return folder / "x.npz"


def _near(rng, goal, scale):
    return goal + scale * rng.normal(size=(ROWS, len(goal)))


def _pointmaze():
    """Task 3 of large ends in row 1, column 10 of cells of four meters."""
    qpos = _near(np.random.default_rng(1), np.array([36.0, 0.0]), 0.8)
    qpos = qpos.astype(np.float32)
    success = np.linalg.norm(qpos - [36.0, 0.0], axis=1) <= 1.0
    return {"qpos": qpos}, success[:, None]


def _cube_double():
    rng = np.random.default_rng(1)
    qpos = np.zeros((ROWS, 28), np.float32)
    for i, goal in enumerate(CUBES):
        qpos[:, 14 + 7 * i : 17 + 7 * i] = _near(rng, goal, 0.02)
    places = qpos[:, 14:].reshape(ROWS, 2, 7)[..., :3]
    return {"qpos": qpos}, np.linalg.norm(places - CUBES, axis=2) <= 0.04


def _scene(env):
    """The goal's numbers are the environment's own."""
    maze = env.unwrapped
    rng = np.random.default_rng(1)
    qpos = np.zeros((ROWS, 25), np.float32)
    cube = maze._data.mocap_pos[0].copy()
    goals = np.array([maze._target_drawer_pos, maze._target_window_pos])
    qpos[:, 14:17] = _near(rng, cube, 0.02)
    qpos[:, 23:] = _near(rng, goals, 0.04)
    buttons = rng.integers(0, 2, (ROWS, 2))
    return {"qpos": qpos, "button_states": buttons}, np.column_stack(
        [
            np.linalg.norm(qpos[:, 14:17] - cube, axis=1) <= 0.04,
            buttons == maze._target_button_states,
            np.abs(qpos[:, 23:] - goals) <= 0.04,
        ]
    )


@pytest.mark.filterwarnings("ignore:.*precision lowered:UserWarning")  # theirs
@pytest.mark.parametrize("world", ["pointmaze", "cube", "scene"])
def test_files_and_rewards_are_those_of_ogbench(world, tmp_path):
    names = {
        "pointmaze": POINT.name,
        "cube": "cube-double-play-singletask-task5-v0",
        "scene": "scene-play-singletask-v0",
    }
    task = tasks.get(names[world])
    env = ogbench.make_env_and_datasets(task.name, env_only=True)
    env.reset()
    makers = {
        "pointmaze": _pointmaze,
        "cube": _cube_double,
        "scene": lambda: _scene(env),
    }
    states, solved = makers[world]()
    path = _write(tmp_path, _arrays(task, states))
    theirs, _ = ogbench.make_env_and_datasets(
        task.name, dataset_path=str(path), dataset_only=True, cur_env=env
    )
    before = np.random.get_state()[2]  # how much was drawn
    ours = data.load(task.name, f"file:{path}", progress=False, log=lambda line: None)
    assert np.random.get_state()[2] == before
    flat = ours.transitions
    kept = np.arange(ROWS) % LENGTH < LENGTH - 1  # of the last state no action counts
    reward = (solved.sum(axis=1) - solved.shape[1])[kept]
    terminal = solved.all(axis=1)[kept]
    assert terminal.any() and len(np.unique(reward)) > 1
    pairs = {
        "observations": flat.observation,
        "actions": flat.action,
        "next_observations": flat.next_observation,
        "rewards": flat.reward,
        "masks": 1.0 - flat.terminal,
    }
    for name, found in pairs.items():
        np.testing.assert_array_equal(found, theirs[name], err_msg=name)
    np.testing.assert_array_equal(flat.reward, reward)
    np.testing.assert_array_equal(flat.terminal, terminal)
    assert ours.episode_offsets.tolist() == [0, 7, 14, 21]
    assert ours.provenance.source == "file"


def test_the_leading_transitions_alone_are_read(tmp_path):
    path = _write(tmp_path, _arrays(POINT, _pointmaze()[0]))
    whole, part = (
        data.load(POINT.name, f"file:{path}", log=lambda line: None, **options)
        for options in ({}, {"num_transitions": 10})
    )
    for field in ("observation", "action", "reward", "terminal"):
        wanted = getattr(whole.transitions, field)[:10]
        np.testing.assert_array_equal(getattr(part.transitions, field), wanted)
    assert part.episode_offsets.tolist() == [0, 7, 10]


def test_the_file_may_give_successors_and_lack_its_last_mark(tmp_path):
    """As in any file of that layout: its successors count, and the last row ends."""
    states = {"qpos": np.full((ROWS, 2), [36.0, 0.0])}  # at the goal throughout
    arrays = _arrays(POINT, states, terminals=np.zeros(ROWS))
    recorded, _ = reading.read(_write(tmp_path, arrays), POINT)
    assert [len(e) for e in recorded] == [ROWS - 1]
    assert recorded[0].terminations.all() and not recorded[0].rewards.any()
    successors = np.roll(arrays["observations"], -1, axis=0)
    path = _write(tmp_path, arrays | {"next_observations": successors})
    recorded, _ = reading.read(path, POINT)
    assert [len(e) for e in recorded] == [ROWS]
    np.testing.assert_array_equal(
        recorded[0].observations[-1], np.float32(arrays["observations"][0])
    )


def test_a_file_that_would_not_fit_is_refused_before_it_is_read(tmp_path, monkeypatch):
    path = _write(tmp_path, _arrays(POINT, _pointmaze()[0]))
    monkeypatch.setattr(memory, "free_bytes", lambda: 1_000)
    _refused(f"file:{path}", "--num_transitions")


def test_the_score_is_the_share_of_successes():
    found = results.EvalResult(
        returns=np.array([-10.0, -1000.0]),
        lengths=np.array([11, 1000]),
        successes=np.array([True, False]),
        audit={},
        steps_per_second=1.0,
    )
    row = results.to_row(found, POINT, None)
    assert row["normalized_score"] == 50.0 and row["success_rate"] == 0.5
    assert row["return_mean"] == -505.0
    maze = tasks.get("antmaze-umaze-v2")
    assert results.to_row(found, maze, None)["normalized_score"] == -50500.0


def test_trajectories_are_scored_by_whether_they_solve_the_task(tmp_path):
    states, solved = _pointmaze()
    states["qpos"][:LENGTH] = 100.0  # the first one never does
    assert solved[LENGTH:].any()
    path = _write(tmp_path, _arrays(POINT, states))
    recorded, _ = reading.read(path, POINT)
    expected = 100.0 * np.mean([0.0, *(solved[i : i + 7].any() for i in (8, 16))])
    assert behavior_scores.behavior_score(recorded, POINT) == pytest.approx(expected)
    facts = inspection.describe(recorded, POINT)
    assert facts["whole_episodes"] == 3
    assert facts["normalized_return"]["mean"] == pytest.approx(expected)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (dict(qpos=None), "has no array 'qpos' but actions, observations, terminals"),
        (dict(actions=np.zeros((3, 2))), "differ in length"),
        (dict(actions=np.full((ROWS, 2), 2.0)), r"actions\[0, 0\] is 2, outside"),
        (dict(observations=np.zeros((ROWS, 3))), "needs"),
        (dict(observations=np.full((ROWS, 2), None)), "holds Python objects"),
        (dict(terminals=np.float32(1.0)), "has shape|differ in length"),
    ],
)
def test_other_layouts_are_refused(changes, message, tmp_path):
    arrays = _arrays(POINT, *[_pointmaze()[0]], **changes)
    arrays = {name: array for name, array in arrays.items() if array is not None}
    path = _write(tmp_path, arrays)
    _refused(f"file:{path}", message)


def _refused(source, message, name=POINT.name):
    with pytest.raises(errors.UserError, match=message) as caught:
        data.load(name, source, progress=False, log=lambda line: None)
    assert "\n" not in str(caught.value)


def test_damaged_files_are_refused(tmp_path):
    path = _write(tmp_path, _arrays(POINT, _pointmaze()[0]))
    whole = path.read_bytes()
    for damaged in (b"", b"<html>", whole[:-40], whole[:200] + b"?" * 50 + whole[250:]):
        path.write_bytes(damaged)
        _refused(f"file:{path}", "(no whole .npz file|is damaged); get it again")
    _refused("file:/nowhere.npz", "no such file")


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("cube-single-play-singletask-v0", "d4rl", "D4RL has no cube-single"),
        ("hopper-medium-v2", "ogbench", "OGBench has no hopper-medium-v2"),
        (POINT.name, "ogbench", "cannot reach"),
        (POINT.name, "minari", "no counterpart"),
        ("cube-singel-play-singletask-v0", "auto", "cube-single-play-singletask-v0"),
        ("pointmaze-giant-navigate-singletask-v0", "auto", "pointmaze-medium-nav"),
    ],
)
def test_what_the_user_may_get_wrong(name, source, message):
    _refused(source, message, name)


def test_the_extra_is_asked_for_before_anything_is_read(monkeypatch):
    def unknown(name):
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", unknown)
    for source in ("auto", "local", "ogbench", "file:/nowhere.npz"):
        _refused(source, r"pip install 'gem_jax\[ogbench\]'")


def test_local_sets_serve_all_tasks_of_a_world():
    lines = []
    first, other = (
        data.load(
            f"pointmaze-medium-navigate-singletask-task{number}-v0",
            num_transitions=4_000,
            progress=False,
            log=lines.append,
        )
        for number in (1, 3)
    )
    assert "local, by OGBench's recipe, not OGBench's own data (cannot" in lines[0]
    assert sum("making" in line for line in lines) == 1
    assert first.provenance.id == other.provenance.id
    assert first.provenance.recipe["name"] == "ogbench_pointmaze"
    np.testing.assert_array_equal(first.transitions.action, other.transitions.action)
    # OGBench's task 1 of medium ends in row 6, column 6; task 3 in row 4, column 2.
    for dataset, goal in ((first, (20.0, 20.0)), (other, (4.0, 12.0))):
        place = dataset.transitions.observation
        near = np.linalg.norm(place - goal, axis=1) <= 1.0
        assert near.any()
        np.testing.assert_array_equal(dataset.transitions.terminal, near)
        np.testing.assert_array_equal(dataset.transitions.reward, near - 1.0)


def test_minari_sets_without_states_have_no_rewards_to_make(minari_root):
    folder = minari.data_folder("other/set-v0")
    folder.mkdir(parents=True)
    bare = layout_files.recorded()
    counts = writer.write_episodes(folder / minari.DATA_FILE, [bare])
    writer.write_metadata(folder, "other/set-v0", POINT, counts, {"name": "x"})
    _refused("minari:other/set-v0", "has no infos/qpos")


def test_a_cached_original_is_taken_and_checked(ogbench_root):
    ogbench_root.mkdir()
    path = _write(ogbench_root, _arrays(POINT, _pointmaze()[0]))
    path.rename(ogbench_root / "pointmaze-large-navigate-v0.npz")
    lines = []
    dataset = data.load(POINT.name, progress=False, log=lines.append)
    assert dataset.provenance.source == "ogbench"
    assert dataset.provenance.id == "pointmaze-large-navigate-v0.npz"
    assert "OGBench's original, found in" in lines[0]
    (ogbench_root / "pointmaze-large-navigate-v0.npz").write_bytes(b"<html>")
    _refused("auto", "is no .npz file; delete")
