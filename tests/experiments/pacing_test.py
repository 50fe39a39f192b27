"""Dispatches stay short, by what the ones before took."""

import pytest

from gem_jax import algorithm
from gem_jax.runs import pacing
from gem_jax.training import loop

PLAIN = algorithm.Phase("plain", 1_000, 1, update=None)
LONG = algorithm.Phase("long", 10_000, 1, update=None)
ODD = algorithm.Phase("odd", 1_030, 1, update=None)
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
    pace.took(PLAIN, 410, 10, 5.0)
    assert pace.size() == 10 and not pace.may_last(PLAIN, 410)
    pace.took(PLAIN, 420, 10, 3.0)
    assert pace.size() == 10 and not pace.may_last(PLAIN, 420)


@pytest.mark.parametrize("log_every", [1_000, 997])
def test_one_that_stood_still_changes_nothing(log_every):
    pace = pacing.Pace(log_every)
    size = pace.size()
    for done, seconds in enumerate([20.0, 0.1, 3_000.0, 0.1, 3_000.0, 0.1], start=1):
        pace.took(LONG, done * size, size, seconds)
        assert pace.size() == size
        assert pace.may_last(LONG, done * size) == (seconds > 6.0)


def test_fast_updates_make_the_dispatches_larger_again():
    pace = pacing.Pace(1_000)
    for step in (200, 400, 600):
        pace.took(LONG, step, 200, 900.0)
    assert pace.size() == 1
    step, lengths = 600, set()
    while step < 800:
        length = loop.chunk_length(LONG, step, pace.size())
        step += length
        lengths.add(length)
        pace.took(LONG, step, length, 0.01 * length)
    assert lengths == {1}  # others would have been compiled
    assert pace.size() == 200 and pace.may_last(LONG, 800)
    pace.took(LONG, 1_000, 200, 2.0)
    assert pace.size() == 200 and not pace.may_last(LONG, 1_000)


def test_no_size_is_taken_that_would_last():
    pace = pacing.Pace(1_000)
    for step in (200, 400):
        pace.took(LONG, step, 200, 200.0)  # a second an update
    assert pace.size() == 2
    for step in range(402, 422, 2):
        pace.took(LONG, step, 2, 0.5)  # a quarter: ten last no more than three
    assert pace.size() == 10


def test_a_length_is_unknown_until_it_has_been_compiled():
    pace = pacing.Pace(1_000)
    assert pace.may_last(ODD, 226)  # as after a resume there
    pace.took(ODD, 400, 174, 1.0)
    assert pace.may_last(ODD, 400)
    pace.took(ODD, 600, 200, 60.0)  # compiled
    assert pace.size() == 200
    pace.took(ODD, 800, 200, 1.0)
    assert not pace.may_last(ODD, 800)
    pace.took(ODD, 1_000, 200, 1.0)
    assert pace.may_last(ODD, 1_000)  # thirty are left


def test_blocks_that_are_given_stay_and_are_cut_where_a_line_ends():
    pace = pacing.Pace(50, block=20)
    for step, length in ((20, 20), (40, 20), (50, 10), (70, 20), (90, 20)):
        pace.took(PLAIN, step, length, 1.0)
        assert pace.may_last(PLAIN, step) == (step == 40)  # ten are unknown until then
    pace.took(PLAIN, 100, 10, 900.0)
    pace.took(PLAIN, 120, 20, 900.0)
    assert pace.may_last(PLAIN, 120) and pace.may_last(PLAIN, 140)
    pace.took(PLAIN, 140, 20, 0.1)
    assert pace.size() == 20 and not pace.may_last(PLAIN, 150)


def test_a_new_phase_begins_anew():
    pace = pacing.Pace(1_000)
    for step in (200, 400, 600):
        pace.took(PLAIN, step, 200, 900.0)
    assert pace.size() == 1
    pace.took(PLAIN, 1_000, 1, 900.0)
    assert pace.size() == 200 and pace.may_last(REFRESHING, 0)
    pace.took(REFRESHING, 100, 100, 900.0)
    assert pace.size() == 200


def test_a_slow_refresh_is_expected_again_where_it_is_due():
    pace = pacing.Pace(50)
    pace.took(REFRESHING, 50, 50, 20.0)
    assert pace.may_last(REFRESHING, 50)  # nothing is known of those between
    pace.took(REFRESHING, 100, 50, 0.5)
    assert pace.may_last(REFRESHING, 100) and not pace.may_last(REFRESHING, 150)
    pace.took(REFRESHING, 150, 50, 1.0)
    assert pace.size() == 50 and not pace.may_last(REFRESHING, 200)
