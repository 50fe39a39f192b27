"""What no reader takes is refused in one line that names the file and what it lacks."""

from __future__ import annotations

import pathlib

import h5py
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import tasks
from gem_jax.data.readers import table

MAZE = tasks.get("maze2d-umaze-v1")


def _quiet(line):
    del line


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
        table.recognize(path).read(path, MAZE, log, None)
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
