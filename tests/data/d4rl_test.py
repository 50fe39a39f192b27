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


def _flat(path, task, log=lambda line: None):
    found, _ = d4rl.read(path, task, log)
    return found, transitions.flatten([episode for episode in found if len(episode)])


def _read(tmp_path, arrays, task=HOPPER):
    """Episodes, transitions and the lines that were logged, without the file's name."""
    path, lines = _write(tmp_path / "a.hdf5", arrays), []
    found, flat = _flat(path, task, lines.append)
    assert all(line.startswith(f"warning: {path}: ") for line in lines)
    return found, flat, [line.removeprefix(f"warning: {path}: ") for line in lines]


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


@pytest.mark.parametrize(("task", "terminals"), [(MAZE, []), (ANT, [3, 4])])
@pytest.mark.parametrize("zeros", [False, True])
def test_without_any_end_the_horizon_cuts_and_says_so(tmp_path, task, terminals, zeros):
    arrays = _arrays(task.horizon + 10, terminals=terminals)
    if not zeros:
        del arrays["timeouts"]
    found, _, lines = _read(tmp_path, arrays, task)
    assert [len(episode) for episode in found] == [task.horizon - 1, 9]
    assert lines == [
        "no terminals or timeouts say where episodes end; cut every "
        f"{task.horizon} steps, the task's horizon"
    ]


def test_without_timeouts_the_horizon_counts_from_the_last_termination(tmp_path):
    arrays = _arrays(HOPPER.horizon + 20, terminals=[9])
    del arrays["timeouts"]  # as D4RL has it: nothing to warn about
    found, _, lines = _read(tmp_path, arrays)
    assert [len(episode) for episode in found] == [10, HOPPER.horizon - 1, 9]
    assert not lines


def test_zero_timeouts_beyond_the_horizon_are_told(tmp_path):
    arrays = _arrays(HOPPER.horizon + 20, terminals=[9])
    found, _, (line,) = _read(tmp_path, arrays)
    assert [len(episode) for episode in found] == [10, HOPPER.horizon - 1, 9]
    assert "timeouts are all 0, yet episodes reach the horizon" in line
    _, _, lines = _read(tmp_path, _arrays(50, terminals=[9]))
    assert not lines


def _with_own(arrays, **changes):
    """Adds next observations that agree with the next row, but for ``changes``."""
    own = np.roll(arrays["observations"], -1, axis=0)
    for step, value in changes.items():
        own[int(step[1:])] = value
    return {**arrays, "next_observations": own}


def test_own_next_observations_that_agree_change_nothing(tmp_path):
    arrays = _arrays(9, terminals=[2], timeouts=[5])
    # The ends of episodes, where the next row is another episode's: 2, 5 and 8.
    own = _with_own(arrays, _2=-2.0, _5=-5.0, _8=np.nan)
    _, plain, _ = _read(tmp_path, arrays)
    found, flat, lines = _read(tmp_path, own)
    assert [len(episode) for episode in found] == [3, 2, 2] and not lines
    for field in ("observation", "action", "reward", "terminal"):
        np.testing.assert_array_equal(getattr(flat, field), getattr(plain, field))
    # The terminal step has its true successor; 5 and 8 are left out as ever.
    np.testing.assert_array_equal(flat.next_observation[:, 0], [1, 2, -2, 4, 5, 7, 8])


def test_own_next_observations_that_disagree_are_used_and_end_the_episode(tmp_path):
    arrays = _with_own(_arrays(9, terminals=[6]), _3=77.0, _4=78.0)
    found, flat, (line,) = _read(tmp_path, arrays)
    assert line.startswith("after 2 of 8 steps the next row is not what next_obs")
    assert [len(episode) for episode in found] == [4, 1, 2, 1]
    np.testing.assert_array_equal(flat.observation[:, 0], range(8))
    np.testing.assert_array_equal(
        flat.next_observation[:, 0], [1, 2, 3, 77, 78, 6, 7, 8]
    )
    ends = [(e.terminations[-1], e.truncations[-1]) for e in found]
    assert ends == [(False, True), (False, True), (True, False), (False, True)]


def test_a_shuffled_file_keeps_its_successors(tmp_path):
    rng = np.random.default_rng(0)
    order = rng.permutation(2000)
    arrays = _with_own(_arrays(2001, terminals=[100, 900], timeouts=[500, 1500]))
    shuffled = {name: array[:-1][order] for name, array in arrays.items()}
    _, flat, lines = _read(tmp_path, shuffled)
    kept = order[:-1][~np.isin(order[:-1], [500, 1500])]
    np.testing.assert_array_equal(flat.observation[:, 0], kept)
    np.testing.assert_array_equal(flat.next_observation[:, 0], kept + 1)
    assert len(lines) == 1 and " of 1,999 steps" in lines[0]


def test_shuffled_without_any_end(tmp_path):
    """The horizon must not cut what are no trajectories anyway."""
    order = np.random.default_rng(0).permutation(HOPPER.horizon * 2)
    arrays = _with_own(_arrays(len(order) + 1))
    shuffled = {name: array[:-1][order] for name, array in arrays.items()}
    _, flat, lines = _read(tmp_path, shuffled)
    np.testing.assert_array_equal(flat.next_observation[:, 0], order[:-1] + 1)
    assert len(lines) == 1 and "next_observations" in lines[0]  # nothing was cut


@pytest.mark.parametrize("task", [MAZE, ANT])
def test_the_horizon_drops_no_step_that_has_its_successor(tmp_path, task):
    steps = task.horizon
    own = {f"_{steps - 1}": -1.0, f"_{2 * steps - 1}": -2.0}
    arrays = _with_own(_arrays(3 * steps), **own)
    found, _, (line,) = _read(tmp_path, arrays, task)
    # As ever, the last step of the file is not used.
    assert [len(episode) for episode in found] == [steps, steps, steps - 1]
    assert [float(e.observations[-1, 0]) for e in found[:2]] == [-1.0, -2.0]
    assert all(episode.truncations[-1] for episode in found)
    assert line.startswith(f"after 2 of {3 * steps - 1:,} steps")


def test_the_horizon_is_told_only_where_it_cuts(tmp_path):
    assert not _read(tmp_path, _arrays(50), MAZE)[2]
    every_20 = {f"_{step}": -1.0 for step in range(19, MAZE.horizon * 2, 20)}
    arrays = _with_own(_arrays(MAZE.horizon * 2), **every_20)
    found, _, (line,) = _read(tmp_path, arrays, MAZE)
    assert {len(episode) for episode in found[:-1]} == {20}
    assert "next_observations" in line


@pytest.mark.parametrize("stored", [np.float16, np.float32])
def test_rounding_is_no_contradiction_and_a_wild_value_hides_none(tmp_path, stored):
    arrays = _with_own(_arrays(60, timeouts=[29, 59], dtype=np.float64))
    arrays["observations"] = np.sin(arrays["observations"])
    arrays["next_observations"] = np.sin(arrays["next_observations"]).astype(stored)
    found, _, lines = _read(tmp_path, arrays)
    assert [len(episode) for episode in found] == [29, 29] and not lines
    arrays["observations"][7] = arrays["next_observations"][6] = 6e4
    arrays["next_observations"][15] += 0.1
    found, _, (line,) = _read(tmp_path, arrays)
    assert [len(episode) for episode in found] == [16, 13, 29] and "after 1 of" in line


def test_a_nan_on_one_side_is_a_contradiction(tmp_path):
    arrays = _with_own(_arrays(9, timeouts=[8]), _3=np.nan)
    found, flat, lines = _read(tmp_path, arrays)
    assert len(found) == 2 and np.isnan(flat.next_observation[3]) and len(lines) == 1
    arrays["observations"][4] = np.nan  # now both say the same
    assert len(_read(tmp_path, arrays)[0]) == 1


def test_antmaze_ends_where_its_own_next_observations_say(tmp_path):
    arrays = _with_own(_arrays(9, terminals=[1, 4], timeouts=[7]), _4=-4.0)
    found, flat, lines = _read(tmp_path, arrays, ANT)
    assert [len(episode) for episode in found] == [5, 2] and not lines
    np.testing.assert_array_equal(flat.next_observation[:, 0], [1, 2, 3, 4, -4, 6, 7])
    assert not found[0].truncations.any()


def test_next_observations_of_another_shape(tmp_path):
    arrays = {**_arrays(4), "next_observations": np.zeros((4, 2))}
    with pytest.raises(
        errors.UserError, match=r"has shape \(4, 2\), 'observations' \("
    ):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


@pytest.mark.parametrize("key", ["terminals", "timeouts"])
@pytest.mark.parametrize("value", [np.nan, 0.5, -1.0])
def test_a_flag_is_0_or_1(tmp_path, key, value):
    arrays = {**_arrays(4), key: np.array([0.0, 1.0, value, 0.0])}
    with pytest.raises(errors.UserError, match=f"'{key}' holds {value} at step 2"):
        d4rl.read(_write(tmp_path / "a.hdf5", arrays), HOPPER)


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
