"""Data of a task of one's own: raw bounds, mapped actions, where the data are."""

import d4rl_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import faults, inspection, repairs

LOW, HIGH = (-2.0, 10.0), (4.0, 10.5)
TASK = data.Task(
    name="my-arm",
    observation_size=3,
    action_size=2,
    action_low=LOW,
    action_high=HIGH,
    horizon=5,
)


@pytest.fixture
def raw():
    """Ten steps of actions, the ends of the box among them."""
    actions = np.random.default_rng(0).uniform(LOW, HIGH, (10, 2))
    actions[0], actions[1] = LOW, HIGH
    return actions


def log_of(tmp_path, actions, **changes):
    path = tmp_path / "log.hdf5"
    d4rl_files.write(path, TASK, actions=actions, **changes)
    return f"file:{path}"


def test_actions_are_mapped_after_they_were_checked(tmp_path, raw):
    source = log_of(tmp_path, raw)
    dataset, _ = d4rl_files.load(TASK, source)
    low, high = np.array(LOW), np.array(HIGH)
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    expected = 2.0 * (raw[kept] - low) / (high - low) - 1.0  # float64
    found = dataset.transitions.action
    assert found.dtype == np.float32 and np.abs(found).max() == 1.0
    np.testing.assert_allclose(found, expected, atol=1e-5)
    recorded, _ = data.read(TASK, source, log=lambda line: None)
    np.testing.assert_array_equal(recorded[0].actions, np.float32(raw[:4]))


def test_the_task_of_a_file_says_where_its_data_are(tmp_path, raw):
    source = log_of(tmp_path, raw)
    text = (
        'name = "my-arm"\nobservation_size = 3\naction_size = 2\nhorizon = 5\n'
        f"action_low = {list(LOW)}\naction_high = {list(HIGH)}\n"
        'source = "file:log.hdf5"\nreward_transform = "minus_one"\n'
    )
    path = tmp_path / "task.toml"
    path.write_text(text)
    dataset, lines = d4rl_files.load(str(path), "auto")
    assert dataset.provenance.env == "my-arm" and dataset.provenance.source == "file"
    assert dataset.provenance.id == source.removeprefix("file:")
    assert lines[0] == f"data: my-arm: {source}, as the task says"
    np.testing.assert_array_equal(dataset.transitions.reward[:4], [-1, 0, -1, 0])
    with pytest.raises(
        errors.UserError, match="no such file"
    ):  # what is asked for wins
        d4rl_files.load(str(path), "file:other.hdf5")


@pytest.mark.parametrize("source", ["auto", "local", "d4rl", "minari"])
def test_without_data_the_remedy_is_named(source):
    with pytest.raises(errors.UserError, match=r"my-arm.*(file:PATH|minari:ID)"):
        d4rl_files.load(TASK, source)


def test_returns_stand_where_scores_would(tmp_path, raw):
    rewards = np.arange(10.0)
    dataset, _ = d4rl_files.load(TASK, log_of(tmp_path, raw, rewards=rewards))
    assert dataset.behavior_score is None
    assert dataset.behavior_return == (0 + 1 + 2 + 3 + 5 + 6 + 7 + 8) / 2
    recorded, _ = data.read(TASK, f"file:{tmp_path / 'log.hdf5'}")
    facts = inspection.describe(recorded, TASK)
    assert facts["behavior_score"] is facts["normalized_return"] is None
    assert facts["episode_return"]["mean"] == dataset.behavior_return
    assert facts["action_low"] == pytest.approx(LOW)
    assert facts["action_saturated"] == 4 / 16  # the ends of the box


@pytest.mark.parametrize(("excess", "refused"), [(0.0004, False), (0.001, True)])
def test_the_tolerance_is_that_of_the_box(tmp_path, raw, excess, refused):
    """A thousandth of half the width, 0.25: beyond it the bounds are wrong."""
    raw[3, 1] = HIGH[1] + excess * 0.5
    source = log_of(tmp_path, raw)
    recorded, _ = data.read(TASK, source)
    verdicts = {v.fault: v for v in faults.examine(recorded, TASK)}
    assert verdicts["actions out of bounds"].found is refused
    if not refused:
        dataset, _ = d4rl_files.load(TASK, source)
        assert dataset.transitions.action[3, 1] == 1.0
        return
    with pytest.raises(errors.UserError) as raised:
        d4rl_files.load(TASK, source)
    assert "episode 0: actions[3, 1] is 10.5, outside [10, 10.5]" in str(raised.value)
    assert "action_low and action_high" in str(raised.value)
    mended = repairs.apply(recorded, TASK, ["clip_actions"])
    assert mended[0].actions[3, 1] == np.float32(HIGH[1])
    dataset, _ = d4rl_files.load(TASK, source, repair=("clip_actions",))
    assert dataset.transitions.action[3, 1] == 1.0


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (dict(observations=np.zeros((10, 4))), "my-arm needs (5, 3)"),
        (dict(actions=np.zeros((10, 3))), "actions has shape (4, 3), my-arm needs"),
    ],
)
def test_data_of_other_sizes_are_refused(tmp_path, raw, changes, named):
    source = log_of(tmp_path, **{"actions": raw, **changes})
    with pytest.raises(errors.UserError) as raised:
        d4rl_files.load(TASK, source)
    assert named in str(raised.value)
