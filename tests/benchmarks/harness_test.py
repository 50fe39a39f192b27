"""What both benchmarks measure with, on functions that do nothing."""

import time

import numpy as np
import pytest

from benchmarks import harness


@pytest.mark.parametrize(
    ("seconds", "warm_up", "uncounted", "counted"),
    [(np.inf, 1, 1, 3), (np.inf, 5, 5, 3), (0.0, 5, 1, 2)],
)
def test_rounds_before_the_timed_ones_end_in_time(seconds, warm_up, uncounted, counted):
    done = []
    times = harness.interleaved(
        {"a": lambda: done.append("a"), "b": lambda: done.append("b")},
        calls=3,
        seconds=seconds,
        warm_up=warm_up,
    )
    assert done == ["a", "b"] * (uncounted + counted)
    assert {name: len(taken) for name, taken in times.items()} == {
        "a": counted,
        "b": counted,
    }


def test_a_turn_is_several_calls_in_a_row_if_they_are_short():
    done = []
    functions = {"a": lambda: done.append("a"), "b": lambda: done.append("b")}
    times = harness.interleaved(functions, calls=5, seconds=np.inf, turn=3)
    assert "".join(done) == "ab" + "aaabbb" * 2
    assert [len(taken) for taken in times.values()] == [5, 5]
    functions["b"] = lambda: (done.append("b"), time.sleep(0.06))  # a slow call
    done.clear()
    harness.interleaved(functions, calls=2, seconds=np.inf, turn=3)
    assert "".join(done) == "ab" * 3


def test_quantiles_take_as_many_calls_as_they_need():
    assert harness.quantile([1.0, 3.0], 50) == 2.0
    assert harness.quantile([1.0] * 19, 95) is None
    assert harness.quantile([1.0] * 20, 95) == 1.0
    assert harness.quantile([1.0] * 99, 99) is None
    assert harness.quantile([1.0] * 100, 99) == 1.0


def test_the_peak_is_the_fastest_of_twenty_products():
    made = []
    assert harness.peak(lambda: made.append(1), 6.0, [3.0, 2.0] * 10) == 3.0
    assert made == []
    assert harness.peak(lambda: made.append(1), 6.0, [3.0, 2.0]) > 3.0
    assert len(made) == 18 + 1  # the first is not counted
