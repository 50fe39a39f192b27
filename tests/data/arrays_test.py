"""A dataset of arrays is what a file of the same rows gives, and can be trained on."""

from __future__ import annotations

import json

import d4rl_files
import layout_files
import numpy as np
import pytest

import gem_jax
from gem_jax import data, errors
from gem_jax.utils import memory

MAZE = "maze2d-umaze-v1"


def _arrays():
    found = layout_files.rows(with_last=False)
    return dict(
        observation=found["obs"],
        action=found["act"],
        reward=found["rew"],
        next_observation=found["next"],
        terminal=found["term"],
        timeout=found["end"] & ~found["term"],
    )


def _make(**changes):
    lines = []
    arrays = {**_arrays(), **changes}
    return data.from_arrays(**arrays, log=lines.append), lines


def test_it_holds_the_rows():
    dataset, lines = _make(task=MAZE, name="mine", policy=np.arange(12))
    given, flat = _arrays(), dataset.transitions
    for name in ("observation", "action", "reward", "next_observation"):
        np.testing.assert_array_equal(getattr(flat, name), given[name])
        assert getattr(flat, name).dtype == np.float32
    np.testing.assert_array_equal(flat.terminal, given["terminal"])
    np.testing.assert_array_equal(dataset.episode_offsets, [0, 4, 9, 12])
    np.testing.assert_array_equal(dataset.policy, np.arange(12))
    origin = dataset.provenance
    assert (origin.env, origin.source, origin.id) == (MAZE, "arrays", "mine")
    assert (origin.num_transitions, origin.num_episodes) == (12, 3)
    assert not lines


@pytest.mark.parametrize("label", [0.7, np.nan, 2.0**40])
def test_labels_are_whole_numbers(label):
    policy = np.array([1.0] * 11 + [label])
    with pytest.raises(errors.UserError, match="'policy' holds .* at step 11; number"):
        _make(task=MAZE, policy=policy)


def test_shapes_are_checked_before_anything_is_mended():
    with pytest.raises(errors.UserError, match="observations has shape"):
        _make(task="hopper-medium-v2", repair=("split_jumps",))


@pytest.mark.parametrize("share, kept", [(0.07, 7), (0.14, 14), (0.071, 8)])
def test_a_share_of_the_episodes_is_no_rounding_error_more(share, kept):
    rows = 200
    dataset, _ = _make(
        task=MAZE,
        best_share=share,
        **{name: np.zeros((rows, 4)) for name in ("observation", "next_observation")},
        action=np.zeros((rows, 2)),
        reward=np.arange(rows),
        terminal=np.zeros(rows, bool),
        timeout=np.arange(rows) % 2 == 1,
    )
    assert dataset.provenance.num_episodes == 100
    assert len(dataset.episode_offsets) == kept + 1


def test_without_successors_the_next_row_is_one():
    dataset, _ = _make(task=MAZE, next_observation=None)
    given, flat = _arrays(), dataset.transitions
    kept = [0, 1, 2, 3, 4, 5, 6, 7, 9, 10]  # not 8 and 11, where episodes are cut
    np.testing.assert_array_equal(flat.observation, given["observation"][kept])
    following = given["observation"][[1, 2, 3, 3, 5, 6, 7, 8, 10, 11]]
    np.testing.assert_array_equal(flat.next_observation, following)
    assert flat.terminal[3] == 1  # nothing depends on what follows


def test_options_and_lists():
    arrays = {name: np.asarray(array).tolist() for name, array in _arrays().items()}
    dataset, _ = _make(
        **arrays, task=MAZE, num_transitions=5, reward_transform="minus_one"
    )
    assert len(dataset.transitions.reward) == 5
    np.testing.assert_allclose(
        dataset.transitions.reward, _arrays()["reward"][:5] - 1.0, rtol=1e-6
    )


def test_a_task_is_told_where_none_is_named():
    dataset, _ = _make()
    assert dataset.provenance.env == "arrays"
    assert dataset.behavior_score is None  # there is no reference


def test_the_hash_is_of_every_array():
    hashes = {_make()[0].provenance.sha256}
    for name in _arrays():
        changed = np.array(_arrays()[name])
        changed[-1] = 1 - changed[-1]
        hashes.add(_make(**{name: changed})[0].provenance.sha256)
    assert len(hashes) == 1 + len(_arrays())
    assert _make()[0].provenance.sha256 in hashes


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": np.zeros(12, int)}, "as discrete actions are stored"),
        ({"observation": np.zeros((12, 8, 8))}, "holds images or the like"),
        ({"reward": np.zeros(11)}, "differ in length"),
        ({"terminal": np.full(12, 2.0)}, "store 0 or 1"),
        (
            {"action": np.full((12, 2), 1.5), "task": MAZE},
            r"actions\[0, 0\] is 1.5, outside",
        ),
        ({"observation": np.full((12, 4), np.nan)}, "NaN or infinite"),
        ({"task": "hopper-medium-v2"}, "hopper-medium-v2 needs"),
        ({"task": "maze"}, "did you mean"),
        ({"name": "../x"}, "write up to 100 letters"),
        ({"num_steps": 3}, "no data option num_steps"),
    ],
)
def test_what_is_refused(changes, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        _make(**changes)
    assert "\n" not in str(caught.value)


def test_too_large(monkeypatch):
    monkeypatch.setattr(memory, "free_bytes", lambda: 1000)
    with pytest.raises(errors.UserError, match="arrays: 12 steps take"):
        _make()


def test_it_is_a_source_with_the_options_of_the_run():
    dataset, _ = _make(task=MAZE, num_transitions=5, reward_transform="minus_one")
    again = data.load(MAZE, dataset, log=lambda line: None)
    np.testing.assert_array_equal(again.transitions.reward, _arrays()["reward"])
    assert again.provenance.num_transitions == 12
    few = data.load(MAZE, dataset, num_transitions=3, log=lambda line: None)
    np.testing.assert_array_equal(few.transitions.reward, _arrays()["reward"][:3])
    with pytest.raises(errors.UserError, match="name its own"):
        data.load(MAZE, again)


def test_training_on_it(tmp_path):
    dataset, _ = _make(task=MAZE, name="mine")
    policy = gem_jax.train(
        MAZE,
        "bc",
        source=dataset,
        preset="smoke",
        workdir=tmp_path,
        progress=False,
        log=lambda line: None,
        num_steps=1,
        hidden_sizes=(4,),
        batch_size=4,
    )
    assert policy is not None
    origin = json.loads((tmp_path / "dataset.json").read_text())
    assert origin["id"] == "mine" and origin["sha256"] == dataset.provenance.sha256
    record = json.loads((tmp_path / "config.json").read_text())
    assert "source='mine'" in record["command"] and record["source"] == "arrays"


def test_training_on_a_file_by_its_path(tmp_path):
    path = tmp_path / "a.hdf5"
    d4rl_files.write(path, MAZE)
    gem_jax.train(
        MAZE,
        "bc",
        source=path,
        preset="smoke",
        workdir=tmp_path / "run",
        progress=False,
        log=lambda line: None,
        num_steps=1,
        hidden_sizes=(4,),
        batch_size=4,
    )
    record = json.loads((tmp_path / "run" / "config.json").read_text())
    assert f"source='file:{path}'" in record["command"] and record["source"] == "file"
