"""What is sound but not read is called by its name, never damaged."""

from __future__ import annotations

import h5py
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import d4rl, minari, tasks

HOPPER = tasks.get("hopper-medium-v2")
GOOD = {
    "observations": np.zeros((4, 11)),
    "actions": np.zeros((4, 3)),
    "rewards": np.zeros(4),
    "terminals": np.zeros(4, bool),
}


def _refusal(path):
    with pytest.raises(errors.UserError) as caught:
        d4rl.read(path, HOPPER)
    message = str(caught.value)
    assert "damaged" not in message and "\n" not in message and str(path) in message
    return message


def _hdf5(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def test_no_hdf5_is_named(tmp_path):
    path = tmp_path / "a.hdf5"
    np.savez(path.open("wb"), observations=np.zeros(3))
    assert "zip archive, such as NumPy's .npz" in _refusal(path)
    np.save(path.open("wb"), np.zeros(3))
    assert "NumPy .npy" in _refusal(path)
    for content, name in {
        b"PAR1\x15\x04": "Parquet",
        b"\x80\x04\x95\x10": "pickle",
        b"\x1f\x8b\x08": "gzip",
        b"version https://git-lfs.github.com/spec/v1": "Git LFS",
        b"<!DOCTYPE html>": "web page",
        b"observation,action,reward\n1,2,3\n": "text, perhaps a table",
        b"": "is empty",
        b"\xff\xfe\x00": "begins with ff fe 00",
    }.items():
        path.write_bytes(content)
        assert name in _refusal(path)


def test_a_folder_is_named(tmp_path):
    assert "is a folder" in _refusal(tmp_path)


def test_an_unreadable_file_is_not_damaged(tmp_path, monkeypatch):
    path = _hdf5(tmp_path / "a.hdf5", GOOD)

    def refuse(*args, **options):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(type(path), "open", refuse)
    assert _refusal(path) == f"cannot read {path}: Permission denied"


def test_hdf5_after_a_block_of_the_users_own_is_read(tmp_path):
    path = tmp_path / "a.hdf5"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in GOOD.items():
            file[name] = array
    path.write_bytes(b"MATLAB 7.3".ljust(512) + path.read_bytes()[512:])
    assert len(d4rl.read(path, HOPPER, lambda line: None)[0][0]) == 3


@pytest.mark.parametrize(
    ("arrays", "found"),
    [
        ({}, "holds nothing, not D4RL's layout"),
        ({"episode_0/actions": np.zeros(3)}, "read from Minari's folder"),
        ({"data/demo_0/actions": np.zeros(3)}, "looks like robomimic's"),
        ({"obs": np.zeros(3), "act": np.zeros(3)}, r"2 array(s) ('act', 'obs')"),
        ({"observations/image": np.zeros(3)}, r"1 group(s) and 0 array(s) ('obs"),
    ],
)
def test_other_hdf5_layouts_are_named(tmp_path, arrays, found):
    assert found in _refusal(_hdf5(tmp_path / "a.hdf5", arrays))


def test_what_is_there_is_told_beside_what_is_missing(tmp_path):
    arrays = {**GOOD, "dones": GOOD["terminals"]}
    del arrays["terminals"]
    message = _refusal(_hdf5(tmp_path / "a.hdf5", arrays))
    assert "no array 'terminals'" in message and "'dones'" in message


@pytest.mark.parametrize("name", ["truncations", "episode_terminals"])
def test_ends_under_another_name_are_not_passed_over(tmp_path, name):
    arrays = {**GOOD, name: np.zeros(4, bool)}
    message = _refusal(_hdf5(tmp_path / "a.hdf5", arrays))
    assert f"ends of episodes by '{name}'" in message
    arrays["timeouts"] = arrays[name]
    d4rl.read(_hdf5(tmp_path / "b.hdf5", arrays), HOPPER, lambda line: None)


def test_d4rls_layout_in_minaris_folder():
    path = minari.data_folder("test/points-v0") / minari.DATA_FILE
    path.parent.mkdir(parents=True)
    _hdf5(path, GOOD)
    path.with_name(minari.METADATA_FILE).write_text("{}")
    with pytest.raises(errors.UserError, match="not Minari's layout") as caught:
        minari.read("test/points-v0", HOPPER)
    assert "'observations'" in str(caught.value) and "damaged" not in str(caught.value)
