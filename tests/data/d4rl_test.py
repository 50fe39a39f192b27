from __future__ import annotations

import h5py
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import d4rl, tasks, transitions

HOPPER = tasks.get("hopper-medium-v2")
ANT = tasks.get("antmaze-umaze-v2")
MAZE = tasks.get("maze2d-umaze-v1")


def _write(path, arrays):
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=np.asarray(array))
    return path


def _arrays(num, *, terminals=(), timeouts=(), dtype=np.float32):
    """Observation i is i, action i is i / 100, reward i is 10 i."""
    steps = np.arange(num, dtype=dtype)
    return {
        "observations": steps[:, None],
        "actions": steps[:, None] / 100,
        "rewards": 10 * steps,
        "terminals": np.isin(steps, terminals),
        "timeouts": np.isin(steps, timeouts),
    }


def _flat(path, task):
    found, _ = d4rl.read(path, task)
    return found, transitions.flatten([episode for episode in found if len(episode)])


def test_hand_computed(tmp_path):
    # Steps 0-2 end in a termination, 3-5 in a time limit, 6-8 are unfinished.
    path = _write(tmp_path / "a.hdf5", _arrays(9, terminals=[2], timeouts=[5]))
    found, flat = _flat(path, HOPPER)
    # Steps 5 (time limit) and 8 (last) are gone, as in D4RL's qlearning_dataset.
    np.testing.assert_array_equal(flat.observation[:, 0], [0, 1, 2, 3, 4, 6, 7])
    np.testing.assert_array_equal(flat.next_observation[:, 0], [1, 2, 3, 4, 5, 7, 8])
    np.testing.assert_array_equal(flat.reward, [0, 10, 20, 30, 40, 60, 70])
    np.testing.assert_array_equal(flat.terminal, [0, 0, 1, 0, 0, 0, 0])
    assert [len(episode) for episode in found] == [3, 2, 2]
    assert [bool(episode.truncations[-1]) for episode in found] == [False, True, True]


def test_antmaze_terminations_do_not_cut(tmp_path):
    path = _write(tmp_path / "a.hdf5", _arrays(9, terminals=[1, 2], timeouts=[5]))
    found, flat = _flat(path, ANT)
    assert [len(episode) for episode in found] == [5, 2]
    np.testing.assert_array_equal(flat.terminal, [0, 1, 1, 0, 0, 0, 0])


def test_agrees_with_d4rls_loop_on_random_files(tmp_path):
    rng = np.random.default_rng(0)
    for task in (HOPPER, ANT):
        for trial in range(20):
            arrays = _arrays(60)
            arrays["terminals"] = rng.random(60) < 0.15
            arrays["timeouts"] = rng.random(60) < 0.15
            kept = [i for i in range(59) if not arrays["timeouts"][i]]
            path = _write(tmp_path / f"{task.suite}{trial}.hdf5", arrays)
            _, flat = _flat(path, task)
            np.testing.assert_array_equal(flat.observation[:, 0], kept)
            np.testing.assert_array_equal(
                flat.next_observation[:, 0], np.array(kept) + 1
            )
            np.testing.assert_array_equal(flat.terminal, arrays["terminals"][kept])


def test_without_timeouts_the_horizon_cuts(tmp_path):
    arrays = _arrays(MAZE.horizon + 10)
    del arrays["timeouts"]
    found, _ = _flat(_write(tmp_path / "a.hdf5", arrays), MAZE)
    assert [len(episode) for episode in found] == [MAZE.horizon - 1, 9]


def test_casts_and_labels(tmp_path):
    arrays = _arrays(5, timeouts=[1], dtype=np.float64)
    arrays["terminals"] = arrays["terminals"].astype(np.float64)  # as some files have
    arrays["infos/policy"] = np.array([0, 0, 1, 1, 2])
    found, flat = _flat(_write(tmp_path / "a.hdf5", arrays), HOPPER)
    assert {leaf.dtype for leaf in flat[:5]} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(transitions.policies(found), [0, 1, 1])


@pytest.mark.parametrize("key", ["observations", "actions", "rewards", "terminals"])
def test_missing_key(tmp_path, key):
    arrays = _arrays(4)
    del arrays[key]
    with pytest.raises(errors.UserError, match=f"no array '{key}'"):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


def test_lengths_differ(tmp_path):
    arrays = {**_arrays(4), "rewards": np.zeros(3)}
    with pytest.raises(errors.UserError, match="differ in length"):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


@pytest.mark.parametrize("key", ["rewards", "terminals", "timeouts", "infos/policy"])
def test_a_column_is_refused(tmp_path, key):
    arrays = {**_arrays(4), key: np.zeros((4, 1))}
    with pytest.raises(errors.UserError, match=rf"'{key}' has shape \(4, 1\)"):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


def test_float64_beyond_float32_is_left_to_validation(tmp_path):
    arrays = {**_arrays(4), "rewards": np.array([0.0, 1e300, 0.0, 0.0])}
    _, flat = _flat(_write(tmp_path / "a.hdf5", arrays), HOPPER)
    np.testing.assert_array_equal(flat.reward, [0, np.inf, 0])


def test_not_numbers(tmp_path):
    arrays = {**_arrays(2), "rewards": np.array([b"a", b"b"])}
    with pytest.raises(errors.UserError, match="not numbers"):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


@pytest.mark.parametrize("content", [b"", b"not HDF5", None])
def test_no_hdf5(tmp_path, content):
    path = tmp_path / "a.hdf5"
    if content is None:  # truncated
        content = _write(path, _arrays(1000)).read_bytes()[:5000]
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match=f"{len(content):,} bytes"):
        d4rl.read(path, HOPPER)


def test_absent(tmp_path):
    with pytest.raises(errors.UserError, match="no such file"):
        d4rl.read(tmp_path / "a.hdf5", HOPPER)
