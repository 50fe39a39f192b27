"""Reward transforms by their numbers."""

import math

import d4rl_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import transforms

ANT = "antmaze-umaze-v2"
HOPPER = "hopper-medium-v2"
MAZE = "maze2d-umaze-v1"
REWARDS = np.array([1.0, 2.0, 4.0, -1.0])
OFFSETS = np.array([0, 2, 4])


def test_given_by_one_number_or_both():
    changed = transforms.given(scale=2.0)(REWARDS)
    np.testing.assert_array_equal(changed, [2.0, 4.0, 8.0, -2.0])
    assert changed.dtype == np.float32
    np.testing.assert_array_equal(transforms.given(shift=-1.0)(REWARDS), REWARDS - 1)
    both = transforms.given(-2.0, 3.0)
    np.testing.assert_array_equal(both(REWARDS), [1.0, -1.0, -5.0, 5.0])
    assert both == transforms.RewardTransform("given", -2.0, 3.0)


def test_returns_are_sums_over_trajectories():
    found = transforms.trajectory_returns(REWARDS.astype(np.float32), OFFSETS)
    np.testing.assert_array_equal(found, [3.0, 3.0])
    assert found.dtype == np.float64


@pytest.mark.parametrize(
    ("name", "scale", "shift"),
    [("identity", 1.0, 0.0), ("minus_one", 1.0, -1.0), ("return_range", 250.0, 0.0)],
)
def test_rules(name, scale, shift):
    found = transforms.resolve(name, REWARDS, np.array([0, 1, 4]))  # 1 and 5
    assert found == transforms.RewardTransform(name, scale, shift)
    assert transforms.resolve(found, REWARDS, OFFSETS) is found


def test_equal_returns_have_no_range():
    found = transforms.resolve("return_range", REWARDS, OFFSETS)
    assert found == transforms.RewardTransform("return_range", 1.0, 0.0)


@pytest.mark.parametrize(
    ("scale", "shift", "named"),
    [
        (0.0, 0.0, "scale"),
        (math.nan, 0.0, "scale"),
        (-math.inf, 0.0, "scale"),
        (1.0, math.nan, "shift"),
        (1.0, math.inf, "shift"),
    ],
)
def test_numbers_that_mean_nothing(scale, shift, named):
    with pytest.raises(errors.UserError, match=f"reward {named}"):
        transforms.given(scale, shift)
    with pytest.raises(errors.UserError, match=f"reward {named}"):
        transforms.check(transforms.RewardTransform("given", scale, shift))


def test_an_unknown_name_lists_the_known():
    with pytest.raises(errors.UserError, match="identity, minus_one, return_range"):
        transforms.resolve("log", REWARDS, OFFSETS)


@pytest.mark.parametrize(
    ("chosen", "trained", "record"),
    [
        (None, [-1.0, 0.0], ("minus_one", 1.0, -1.0)),  # the task's
        ("identity", [0.0, 1.0], ("identity", 1.0, 0.0)),
        (transforms.given(10.0, -5.0), [-5.0, 5.0], ("given", 10.0, -5.0)),
    ],
)
def test_rewards_are_transformed_and_the_numbers_recorded(
    tmp_path, chosen, trained, record
):
    path = tmp_path / "a.hdf5"
    d4rl_files.write(path, ANT)
    dataset, _ = d4rl_files.load(ANT, f"file:{path}", reward_transform=chosen)
    assert np.unique(dataset.transitions.reward).tolist() == trained
    saved = dataset.provenance.to_dict()["rewards"]
    assert saved == dict(zip(("name", "scale", "shift"), record, strict=True))
    raw, _ = d4rl_files.load(ANT, f"file:{path}", reward_transform="identity")
    assert dataset.behavior_score == raw.behavior_score  # of rewards as recorded


@pytest.mark.parametrize(
    ("chosen", "message"),
    [
        ("log", "'log'; choose one of identity, minus_one, return_range"),
        (transforms.RewardTransform("given", 0.0), "scale 0 must be finite and not 0"),
        (transforms.RewardTransform("given", float("nan")), "scale nan must be finite"),
        (transforms.RewardTransform("given", 1.0, float("inf")), "shift inf"),
    ],
)
def test_bad_transforms_are_refused_before_anything_is_read(chosen, message):
    with pytest.raises(errors.UserError, match=message):
        d4rl_files.load(MAZE, "file:/nowhere.hdf5", reward_transform=chosen)


def _steps_alone(path, broken):
    """40 steps; after ``broken`` of them the next row is another's."""
    observations = np.random.default_rng(0).normal(size=(41, 11))
    own = observations[1:].copy()
    own[:broken] += 1.0
    changes = {"observations": observations[:-1], "next_observations": own}
    d4rl_files.write(path, HOPPER, num=40, timeouts=np.arange(40) == 39, **changes)
    return f"file:{path}"


def test_rewards_stay_as_they_are_where_most_steps_stand_alone(tmp_path):
    source = _steps_alone(tmp_path / "a.hdf5", 20)
    lines = []
    dataset = data.load(HOPPER, source, log=lines.append)
    assert dataset.provenance.rewards == transforms.RewardTransform("return_range")
    recorded = data.load(HOPPER, source, reward_transform="identity", log=lines.append)
    np.testing.assert_array_equal(
        dataset.transitions.reward, recorded.transitions.reward
    )
    told = [line for line in lines if "no returns to scale by" in line]
    assert len(told) == 1 and "--reward_scale" in told[0]


@pytest.mark.parametrize(
    ("offsets", "scale"), [([0, 1], 1.0), ([0, 1, 3], 1000.0 / 3.0)]
)
def test_half_are_not_most(offsets, scale):
    rewards = np.arange(offsets[-1])
    found = transforms.resolve("return_range", rewards, np.array(offsets))
    assert found.scale == scale


@pytest.mark.parametrize("offsets", [[0, 1, 2], [0, 1, 2, 4]])
def test_more_than_half_are_most(offsets):
    rewards = np.arange(offsets[-1])
    found = transforms.resolve("return_range", rewards, np.array(offsets))
    assert found.scale == 1.0


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("scale", "shift", "message"),
    [
        (1e300, 0.0, r"--reward_scale=1e\+300 --reward_shift=0 makes rewards that"),
        (-1e30, 0.0, "makes rewards that float32 cannot square"),
        (1.0, 1e300, r"--reward_shift=1e\+300 makes"),
        (
            1e-60,
            0.0,
            "--reward_scale=1e-60 --reward_shift=0 leaves nothing",
        ),
        (1e-40, 0.0, "leaves nothing"),  # no normal number
        (1e-60, 3.0, "all become 3"),
        (1.0, 1e10, "all become 1e"),
    ],
)
def test_what_float32_cannot_hold_is_blamed_on_the_flag(
    tmp_path, scale, shift, message
):
    d4rl_files.write(tmp_path / "a.hdf5", MAZE)
    with pytest.raises(errors.UserError, match=message):
        d4rl_files.load(
            MAZE,
            f"file:{tmp_path / 'a.hdf5'}",
            reward_transform=transforms.given(scale, shift),
        )


def test_a_scale_from_returns_that_hardly_differ_is_named():
    rewards = np.array([1.0, 1.0, 1.0, 1.0 + 1e-15])
    resolved = transforms.resolve("return_range", rewards, OFFSETS)
    with pytest.raises(errors.UserError, match="--reward_transform=return_range"):
        resolved(rewards)


@pytest.mark.parametrize("recorded", [0.0, 1.0])
def test_rewards_that_never_change_stay_allowed(recorded):
    rewards = np.full(4, recorded, np.float32)
    changed = transforms.RewardTransform("minus_one", shift=-1.0)(rewards)
    np.testing.assert_array_equal(changed, rewards - 1.0)
