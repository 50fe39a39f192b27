"""Statistics over seeds."""

import numpy as np

from gem_jax.runs import statistics


def test_the_spread_is_that_of_a_sample():
    assert statistics.sample_std([10.0, 20.0, 30.0]) == 10.0  # ddof 0 has 8.2
    assert statistics.mean_and_std([10.0, 20.0, 30.0]) == "20.0 ± 10.0 (3)"


def test_one_seed_has_no_spread():
    assert statistics.sample_std([7.0]) == 0.0


def test_the_axis_is_that_of_the_seeds():
    values = np.array([[0.0, 2.0], [1.0, 1.0]])
    np.testing.assert_allclose(statistics.sample_std(values, axis=1), [2**0.5, 0.0])
