"""Dispatches stay short, by what the ones before took."""

import pytest

from experiments import pacing
from gem_jax import algorithm

PLAIN = algorithm.Phase("plain", 1_000, 1, update=None)
REFRESHING = algorithm.Phase(
    "refreshing", 1_000, 1, update=None, refresh=lambda *_: None, refresh_every=100
)


@pytest.mark.parametrize(
    ("log_every", "size"),
    [(1_000, 200), (5_000, 200), (2_500, 250), (334, 334), (30, 30), (997, 997)],
)
def test_it_begins_with_a_divisor_that_is_enough(log_every, size):
    assert pacing.Pace(log_every).size() == size


def test_slow_updates_make_smaller_dispatches_and_compiling_does_not():
    pace = pacing.Pace(1_000)
    pace.took(PLAIN, 200, 200, 60.0)  # compiled
    assert pace.size() == 200 and pace.may_last(PLAIN, 200)
    pace.took(PLAIN, 400, 200, 60.0)  # 0.3 s an update: ten in three seconds
    assert pace.size() == 10 and pace.may_last(PLAIN, 400)  # it compiles again
    pace.took(PLAIN, 410, 10, 1.0)
    assert pace.size() == 10 and not pace.may_last(PLAIN, 410)
    pace.took(PLAIN, 420, 10, 3_000.0)
    assert pace.size() == 1


def test_fast_updates_change_nothing_and_a_new_phase_begins_anew():
    pace = pacing.Pace(1_000)
    for step in (200, 400):
        pace.took(PLAIN, step, 200, 0.1)
        assert pace.size() == 200 and not pace.may_last(PLAIN, step)
    pace.took(PLAIN, 600, 200, 900.0)
    assert pace.size() == 1
    pace.took(REFRESHING, 100, 100, 0.1)
    assert pace.size() == 200


def test_a_slow_refresh_is_expected_again_where_it_is_due():
    pace = pacing.Pace(50)
    pace.took(REFRESHING, 50, 50, 20.0)
    assert pace.may_last(REFRESHING, 50)  # nothing is known of those between
    pace.took(REFRESHING, 100, 50, 0.5)
    assert pace.may_last(REFRESHING, 100) and not pace.may_last(REFRESHING, 150)
    pace.took(REFRESHING, 150, 50, 1.0)
    assert pace.size() == 50 and not pace.may_last(REFRESHING, 200)
