"""Indices against scikit-learn's and by hand."""

import numpy as np
import pytest
from sklearn import metrics

from gem_jax import clustering


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("size", [2, 25, 1_000])
def test_indices_are_those_of_scikit_learn(seed, size):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 3, size), rng.integers(0, 4, size)
    np.testing.assert_allclose(
        clustering.rand_index(first, second), metrics.rand_score(first, second)
    )
    np.testing.assert_allclose(
        clustering.adjusted_rand_index(first, second),
        metrics.adjusted_rand_score(first, second),
        atol=1e-12,
    )


def test_indices_by_hand():
    """Of six pairs the first joins two, the second one of these and no other."""
    first, second = [0, 0, 1, 1], [0, 0, 1, 2]
    assert clustering.rand_index(first, second) == pytest.approx(5 / 6)
    # Expected are 2 * 1 / 6 joined pairs, at most (2 + 1) / 2.
    adjusted = (1 - 1 / 3) / (3 / 2 - 1 / 3)
    assert clustering.adjusted_rand_index(first, second) == pytest.approx(adjusted)


def test_names_of_labels_do_not_matter():
    first = np.array([0, 0, 1, 1, 2])
    renamed = np.array([7, 7, 3, 3, 9])
    assert clustering.rand_index(first, renamed) == 1.0
    assert clustering.adjusted_rand_index(first, renamed) == 1.0


@pytest.mark.parametrize("labels", [[0], [0, 0, 0], [0, 1, 2]])
def test_trivial_partitions_agree_with_themselves(labels):
    assert clustering.rand_index(labels, labels) == 1.0
    assert clustering.adjusted_rand_index(labels, labels) == 1.0


def test_confusion_matrix_counts():
    counts = clustering.confusion_matrix([0, 0, 1, 1, 1], [5, 2, 2, 2, 5])
    np.testing.assert_array_equal(counts, [[1, 1], [2, 1]])
    with pytest.raises(ValueError, match="arrays of labels"):
        clustering.confusion_matrix([0, 1], [0])
