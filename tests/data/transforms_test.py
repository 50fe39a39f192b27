"""Reward transforms by their numbers."""

import math

import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import transforms

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
    [("identity", 1.0, 0.0), ("minus_one", 1.0, -1.0), ("return_range", 500.0, 0.0)],
)
def test_rules(name, scale, shift):
    found = transforms.resolve(name, REWARDS, np.array([0, 1, 2, 4]))  # 1, 2 and 3
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
