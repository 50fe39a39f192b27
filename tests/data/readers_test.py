"""Every layout is recognized by content and gives the same episodes; others do not."""

from __future__ import annotations

import dataclasses
import pathlib

import h5py
import layout_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import room, tasks
from gem_jax.data.readers import rows, table
from gem_jax.utils import memory

MAZE = tasks.get("maze2d-umaze-v1")


def _quiet(line):
    del line


def _write(folder, name):
    path = folder / "data.bin"  # a name that says nothing
    layout_files.ALL[name](path)
    return path


def _read(path, task=MAZE, limit=None, log=_quiet):
    return table.recognize(path).read(path, task, log, limit)[0]


@pytest.mark.parametrize("name", layout_files.ALL)
@pytest.mark.parametrize("task", [MAZE, None])
def test_every_layout_gives_the_same_episodes(tmp_path, name, task):
    found = _read(_write(tmp_path, name), task)
    for ours, e in zip(found, layout_files.recorded(), strict=True):
        for field in ("actions", "rewards", "terminations", "truncations"):
            np.testing.assert_array_equal(getattr(ours, field), getattr(e, field))
        last = None
        if e.terminations[-1] and name not in layout_files.WITH_SUCCESSORS:
            last = -1  # nothing depends on it
        assert ours.observations.shape == e.observations.shape
        np.testing.assert_array_equal(ours.observations[:last], e.observations[:last])
        assert ours.observations.dtype == ours.actions.dtype == np.float32


@pytest.mark.parametrize("name", layout_files.ALL)
@pytest.mark.parametrize("limit", [1, 4, 6, 9, 11])
def test_the_leading_transitions_are_those_of_the_whole(tmp_path, name, limit):
    path = _write(tmp_path, name)
    read = [
        data.load(
            MAZE.name, f"file:{path}", num_transitions=n, log=_quiet, progress=False
        )
        for n in (limit, None)
    ]
    part, whole = (dataset.transitions for dataset in read)
    assert len(part.reward) == limit and len(whole.reward) >= 11
    for ours, all_ in zip(part[:5], whole[:5], strict=True):
        np.testing.assert_array_equal(ours, all_[:limit])


@pytest.mark.parametrize("name", layout_files.ALL)
def test_what_does_not_fit_is_refused_but_its_leading_part(tmp_path, monkeypatch, name):
    path = _write(tmp_path, name)
    step = 4 * (7 * 4 + 3 * 2 + 6)
    monkeypatch.setattr(memory, "free_bytes", lambda: 8 * step)
    with pytest.raises(errors.UserError, match="--num_transitions=8 or less") as caught:
        _read(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert sum(map(len, _read(path, limit=3))) >= 3


def test_room_counts_what_is_wanted(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 10**9)
    step = 4 * (7 * 17 + 3 * 6 + 6)
    room.require("x", 10**9 // step, 17, 6, None)
    room.require("x", 10**12, 17, 6, 10**9 // step)
    with pytest.raises(errors.UserError, match="1,748,252 steps take about 1.0 GB"):
        room.require("x", 10**9 // step + 1, 17, 6, None)


def test_a_leading_part_of_d4rls_rows_is_not_read_whole(tmp_path, monkeypatch):
    path = _write(tmp_path, "d4rl_hdf5")
    asked = []
    read = h5py.Dataset.__getitem__

    def noted(self, rows):
        asked.append((self.name, rows))
        return read(self, rows)

    monkeypatch.setattr(h5py.Dataset, "__getitem__", noted)
    _read(path, limit=5)
    stops = {name: rows.stop for name, rows in asked}
    # Transitions 4 and 5 are in the second episode, whose successor is one row on.
    assert stops["/observations"] == stops["/rewards"] == 6


@pytest.mark.parametrize("name", ["minari", "robomimic"])
def test_episodes_beyond_the_leading_part_are_not_read(tmp_path, name):
    path = _write(tmp_path, name)
    assert [len(_read(path, limit=limit)) for limit in (1, 4, 5, 9, 10)] == [
        *(1, 1, 2, 2, 3)
    ]


def test_memory_is_what_the_system_says(monkeypatch):
    assert 0 < memory.free_bytes() < 2**50

    def refuse(self):
        raise FileNotFoundError

    monkeypatch.setattr(pathlib.Path, "read_text", refuse)
    assert 0 < memory.free_bytes() < 2**50


def test_d4rls_horizon_cuts_an_archive_too(tmp_path):
    arrays = {"observations": np.random.default_rng(0).normal(size=(310, 4))}
    arrays |= {"actions": np.zeros((310, 2)), "rewards": np.zeros(310)}
    np.savez(tmp_path / "a.npz", terminals=np.zeros(310), **arrays)
    found = _read(tmp_path / "a.npz")
    assert [len(e) for e in found] == [MAZE.horizon - 1, 9]
    short = dataclasses.replace(MAZE, horizon=5)
    for limit in (1, 4, 5, 40, 200):  # each five rows are four transitions
        part = _read(tmp_path / "a.npz", short, limit)
        assert [len(e) for e in part][:-1] == [4] * (len(part) - 1)
        assert limit <= sum(map(len, part)) <= limit + 4


def test_rows_hand_computed():
    """Episodes: 0-2, terminal; 3-4, cut; 5, cut at once; 6-7, where the rows end."""
    steps = np.arange(8, dtype=np.float32)
    plain = rows.Rows(
        observation=steps[:, None],
        action=steps[:, None] / 10,
        reward=10 * steps,
        terminal=steps == 2,
        end=np.isin(steps, [2, 4, 5]),
        policy=steps.astype(int),
    )
    found = rows.to_episodes(plain, _quiet)
    states = [e.observations[:, 0].tolist() for e in found]
    assert states == [[0, 1, 2, 2], [3, 4], [5], [6, 7]]
    assert [e.rewards.tolist() for e in found] == [[0, 10, 20], [30], [], [60]]
    assert [e.infos["policy"].tolist() for e in found] == [[0, 1, 2], [3], [], [6]]
    assert [e.truncations.any() for e in found] == [False, True, False, True]
    assert found[0].terminations.tolist() == [False, False, True]


def test_rows_end_where_their_own_successor_is_another():
    steps = np.arange(4, dtype=np.float32)
    given = rows.Rows(
        observation=steps[:, None],
        action=steps[:, None],
        reward=steps,
        terminal=steps < 0,
        end=steps == 2,
        next_observation=np.array([[1.0], [7.0], [8.0], [9.0]], np.float32),
    )
    lines = []
    found = rows.to_episodes(given, lines.append)
    states = [e.observations[:, 0].tolist() for e in found]
    assert states == [[0, 1, 7], [2, 8], [3, 9]]
    assert len(lines) == 1 and lines[0].startswith("after 1 of 4 rows")
    assert all(e.truncations[-1] for e in found)


def test_ogbench_tasks_that_are_done_in_mid_trajectory(tmp_path):
    """``masks`` end no trajectory; the action of its last row is nobody's."""
    arrays = dict(observations=np.arange(8.0)[:, None], actions=np.zeros((8, 1)))
    arrays["masks"] = np.array([1, 0, 1, 0, 1, 1, 1, 1.0])
    np.savez(
        tmp_path / "a.npz",
        terminals=np.array([0, 0, 0, 1, 0, 0, 0, 1]),
        rewards=np.arange(8) - 1.0,
        **arrays,
    )
    first, second = _read(tmp_path / "a.npz", None)
    assert first.observations[:, 0].tolist() == [0, 1, 2, 3]
    assert first.terminations.tolist() == [False, True, False]
    assert first.truncations.tolist() == [False, False, True]
    assert len(second) == 3 and second.rewards.tolist() == [3, 4, 5]


def test_robomimics_demonstrations_come_in_the_order_of_numbers(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for number in (10, 9):
            group = file.create_group(f"data/demo_{number}")
            group["actions"] = np.zeros((2, 1))
            group["rewards"] = np.full(2, number)
            group["dones"] = np.array([1, 0])
            group["obs/z"], group["obs/a"] = np.ones((2, 1)), np.zeros((2, 2))
    lines = []
    first, second = _read(tmp_path / "a.hdf5", None, log=lines.append)
    assert first.rewards[0] == 9 and second.rewards[0] == 10
    # Without next_obs the last step has no successor.
    assert len(first) == 1 and first.observations[0].tolist() == [0, 0, 1]
    assert lines == [f"data: {tmp_path / 'a.hdf5'}: observations are a (2), z (1)"]


# Refusals


def _hdf5(folder, **arrays):
    path = folder / "a.hdf5"
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name.replace("__", "/")] = array
    return path


def _numpy(folder, **arrays):
    np.savez(folder / "a.npz", **arrays)
    return folder / "a.npz"


def _text(folder, content):
    path = folder / "a.csv"
    path.write_text(content)
    return path


def _refusal(path, log=_quiet):
    before = path.read_bytes() if path.is_file() else None
    with pytest.raises(errors.UserError) as caught:
        _read(path, log=log)
    message = str(caught.value)
    assert message.startswith(str(path)) and "\n" not in message
    assert before is None or path.read_bytes() == before
    return message


GOOD = {
    "observations": np.zeros((4, 4)),
    "actions": np.zeros((4, 2)),
    "rewards": np.zeros(4),
    "terminals": np.zeros(4),
}
DEMO = {
    "data__demo_0__obs__a": np.zeros((4, 4)),
    "data__demo_0__actions": np.zeros((4, 2)),
    "data__demo_0__rewards": np.zeros(4),
    "data__demo_0__dones": np.zeros(4),
}
EPISODE = {
    "episode_0__observations": np.zeros((5, 4)),
    "episode_0__actions": np.zeros((4, 2)),
    "episode_0__rewards": np.zeros(4),
    "episode_0__terminations": np.zeros(4, bool),
    "episode_0__truncations": np.zeros(4, bool),
}


def test_the_layouts_that_were_tried_and_what_each_lacks(tmp_path):
    message = _refusal(_hdf5(tmp_path, obs=np.zeros(3), data__x=np.zeros(3)))
    assert (
        "tried D4RL's HDF5 (no array 'observations'), Minari's HDF5 (no group "
        "'episode_0'), robomimic's HDF5 (no group 'data/demo_0'); it holds" in message
    )
    arrays = {name: array for name, array in GOOD.items() if name != "terminals"}
    message = _refusal(_numpy(tmp_path, **arrays, dones=np.zeros(4)))
    assert "D4RL's NumPy (no array 'terminals'), OGBench's NumPy (no " in message
    message = _refusal(_text(tmp_path, "obs_0,action_0,reward,terminal\n1,2,3,0\n"))
    assert "tried a CSV log (no column 'timeout' or 'episode')" in message
    demo = {name: DEMO[name] for name in DEMO if "obs" not in name}
    assert "(no group 'data/demo_0/obs')" in _refusal(_hdf5(tmp_path, **demo))


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (b"PAR1\x15\x04", "looks like a Parquet table"),
        (b"\x80\x04\x95\x10", "looks like a Python pickle"),
        (b"\x93NUMPY\x01\x00", "a NumPy .npy array"),
        (b"{}", "looks like JSON"),
        (b"", "is empty"),
        (b"\xff\xfe\x00", "begins with ff fe 00"),
    ],
)
def test_other_files_are_named(tmp_path, content, found):
    path = tmp_path / "a.npz"
    path.write_bytes(content)
    message = _refusal(path)
    assert found in message and "no HDF5, NumPy or CSV file" in message


@pytest.mark.parametrize("dtype", [np.int64, np.uint8, bool])
def test_discrete_actions(tmp_path, dtype):
    actions = np.ones((4, 2), dtype)
    for path in (
        _numpy(tmp_path, **{**GOOD, "actions": actions}),
        _hdf5(tmp_path, **{**GOOD, "actions": actions}),
        _hdf5(tmp_path, **{**DEMO, "data__demo_0__actions": actions}),
        _hdf5(tmp_path, **{**EPISODE, "episode_0__actions": actions}),
    ):
        assert "as discrete actions are stored" in _refusal(path)


@pytest.mark.parametrize("images", [np.zeros((4, 8, 8)), np.zeros((4, 4), np.uint8)])
def test_image_observations(tmp_path, images):
    for path in (
        _numpy(tmp_path, **{**GOOD, "observations": images}),
        _hdf5(tmp_path, **{**GOOD, "observations": images}),
        _hdf5(tmp_path, **{**DEMO, "data__demo_0__obs__b": images}),
        _hdf5(tmp_path, **{**EPISODE, "episode_0__observations": images}),
    ):
        assert "holds images or the like" in _refusal(path)


def test_ogbench_without_rewards(tmp_path):
    arrays = {name: array for name, array in GOOD.items() if name != "rewards"}
    message = _refusal(_numpy(tmp_path, **arrays, qpos=np.zeros((4, 3))))
    assert "no array 'rewards'" in message and "one of its tasks" in message


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"rewards": np.zeros(3)}, "arrays differ in length"),
        ({"rewards": np.zeros((4, 1))}, "flatten it"),
        ({"observations": np.zeros(4)}, "store a row a step"),
        ({"terminals": np.full(4, 0.5)}, "store 0 or 1"),
        ({"rewards": np.array(list("abcd"))}, "not numbers"),
        ({"next_observations": np.zeros((4, 3))}, "make them alike"),
        ({"masks": np.full(4, 2.0)}, "'masks' holds 2.0 at step 0"),
    ],
)
def test_odd_arrays_of_an_archive(tmp_path, changes, found):
    assert found in _refusal(_numpy(tmp_path, **{**GOOD, **changes}))


class Bomb:
    """Unpickled it would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return pathlib.Path.touch, (self.path,)


def test_nothing_is_unpickled(tmp_path):
    trap = tmp_path / "sprung"
    objects = np.array([Bomb(trap)] * 4, object)
    message = _refusal(_numpy(tmp_path, **{**GOOD, "rewards": objects}))
    assert "Python objects" in message and not trap.exists()
    fields = np.zeros(4, [("名", "f4")])
    with pytest.warns(UserWarning, match="format 3.0"):
        path = _numpy(tmp_path, **{**GOOD, "rewards": fields})
    assert "named fields" in _refusal(path)


@pytest.mark.parametrize(
    ("changes", "found"),
    [
        ({"data__demo_0__dones": None}, "data/demo_0 has no array 'dones'"),
        ({"data__demo_0__dones": np.zeros(3)}, "differ in length"),
        ({"data__demo_0__rewards": np.zeros((4, 1))}, "differ in length"),
        ({"data__demo_0__obs__b": np.zeros((3, 1))}, "differ in length"),
        ({"data__demo_0__next_obs__b": np.zeros((4, 1))}, "make them alike"),
        ({"data__demo_1__obs__b": np.zeros((4, 1))}, "data/demo_1 has no array"),
    ],
)
def test_odd_arrays_of_robomimic(tmp_path, changes, found):
    arrays = {**DEMO, **changes}
    kept = {name: array for name, array in arrays.items() if array is not None}
    assert found in _refusal(_hdf5(tmp_path, **kept))


HEADER = "obs_0,action_0,reward,terminal,timeout"


@pytest.mark.parametrize(
    ("content", "found"),
    [
        (f"{HEADER}\n1,2,3,0,0\n1,x,3,0,0\n", "'x' to float"),
        (f"{HEADER}\n1,2,3,0,0\n1,,3,0,0\n", "row 1, column 2"),
        (f"{HEADER}\n1,2,3,0,0\n1,2\n", "row 2 with 2 columns"),
        (f"{HEADER}\n1,2,3,0,2\n", "'timeout' holds 2.0 at step 0; store 0 or 1"),
        (f"{HEADER},obs_0\n1,2,3,0,0,1\n", "column 'obs_0' twice"),
        (f"{HEADER},obs_2\n1,2,3,0,0,1\n", "no obs_1"),
        (f"{HEADER},obs_1,next_obs_0\n1,2,3,0,0,1,1\n", "make them as many"),
    ],
)
def test_odd_logs(tmp_path, content, found):
    assert found in _refusal(_text(tmp_path, content))


def test_an_empty_log_holds_no_transitions(tmp_path):
    path = _text(tmp_path, HEADER + "\n")
    with pytest.raises(errors.UserError, match="holds no transitions"):
        data.load(MAZE.name, f"file:{path}", log=_quiet)
