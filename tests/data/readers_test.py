"""Every layout is recognized by content and gives the same episodes; others do not."""

from __future__ import annotations

import dataclasses

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


def test_leading_transitions_may_lie_behind_rows_that_are_none(tmp_path):
    """Episodes of one row each have no transition, since nothing follows their row."""
    header = "obs_0,obs_1,obs_2,obs_3,action_0,action_1,reward,terminal,episode"
    lines = [f"{i},0,0,0,0,0,0,0,{min(i, 30)}" for i in range(130)]
    path = tmp_path / "a.csv"
    path.write_text("\n".join([header, *lines]))
    found = data.load(MAZE.name, f"file:{path}", num_transitions=5, log=_quiet)
    np.testing.assert_array_equal(
        found.transitions.observation[:, 0], [30, 31, 32, 33, 34]
    )


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


def test_robomimics_observations_are_those_of_the_tasks_keys(tmp_path):
    """In their order, as the environment's are joined; sorted where none are named."""
    path = _write(tmp_path, "robomimic")
    whole = _read(path)[0].observations
    asked = dataclasses.replace(MAZE, observation_keys=("c", "a"))
    found = _read(path, asked)[0].observations
    np.testing.assert_array_equal(found, whole[:, [3, 0]])
    absent = dataclasses.replace(MAZE, observation_keys=("c", "goal"))
    with pytest.raises(errors.UserError, match="no observation 'goal'.*are a, b, c"):
        _read(path, absent)


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
