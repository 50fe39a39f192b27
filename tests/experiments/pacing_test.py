"""Dispatches stay short, by what the ones before took."""

import pytest

from experiments import pacing
from gem_jax import algorithm

PLAIN = algorithm.Phase("plain", 1_000, 1, update=None)
REFRESHING = algorithm.Phase(
    "refreshing", 1_000, 1, update=None, refresh=lambda *_: None, refresh_every=100
)


@pytest.mark.parametrize(
    ("log_every", "size"), [(1_000, 50), (5_000, 50), (334, 167), (30, 30), (997, 997)]
)
def test_it_begins_with_a_divisor_that_is_enough(log_every, size):
    assert pacing.Pace(log_every).size() == size


def test_slow_updates_make_smaller_dispatches_and_compiling_does_not():
    pace = pacing.Pace(1_000)
    pace.took(PLAIN, 50, 50, 60.0)  # compiled
    assert pace.size() == 50 and pace.may_last(PLAIN, 50)
    pace.took(PLAIN, 100, 50, 10.0)  # 0.2 s an update: ten in two seconds
    assert pace.size() == 10 and pace.may_last(PLAIN, 100)  # it compiles again
    pace.took(PLAIN, 110, 10, 1.0)
    assert pace.size() == 10 and not pace.may_last(PLAIN, 110)
    pace.took(PLAIN, 120, 10, 3_000.0)
    assert pace.size() == 1


def test_fast_updates_change_nothing_and_a_new_phase_begins_anew():
    pace = pacing.Pace(1_000)
    for step in (50, 100):
        pace.took(PLAIN, step, 50, 0.1)
        assert pace.size() == 50 and not pace.may_last(PLAIN, step)
    pace.took(PLAIN, 150, 50, 100.0)
    assert pace.size() == 1
    pace.took(REFRESHING, 50, 50, 0.1)
    assert pace.size() == 50


def test_a_slow_refresh_is_expected_again_where_it_is_due():
    pace = pacing.Pace(1_000)
    pace.took(REFRESHING, 50, 50, 20.0)
    assert pace.may_last(REFRESHING, 50)  # nothing is known of those between
    pace.took(REFRESHING, 100, 50, 0.5)
    assert pace.may_last(REFRESHING, 100) and not pace.may_last(REFRESHING, 150)
    pace.took(REFRESHING, 150, 50, 1.0)
    assert pace.size() == 50 and not pace.may_last(REFRESHING, 200)
