"""Indices against a count of every pair."""

import itertools

import numpy as np
import pytest

from gem_jax import clustering


def by_pairs(first, second):
    """Rand and adjusted Rand index by looking at every pair of items."""
    joined = np.zeros((2, 2))
    for i, j in itertools.combinations(range(len(first)), 2):
        joined[int(first[i] == first[j]), int(second[i] == second[j])] += 1
    pairs = joined.sum()
    in_first, in_second = joined[1].sum(), joined[:, 1].sum()
    expected = in_first * in_second / pairs
    adjusted = (joined[1, 1] - expected) / ((in_first + in_second) / 2 - expected)
    return (joined[0, 0] + joined[1, 1]) / pairs, adjusted


@pytest.mark.parametrize("seed", range(5))
def test_indices_equal_a_count_of_pairs(seed):
    rng = np.random.default_rng(seed)
    first, second = rng.integers(0, 3, 25), rng.integers(0, 4, 25)
    rand, adjusted = by_pairs(first, second)
    np.testing.assert_allclose(clustering.rand_index(first, second), rand)
    np.testing.assert_allclose(
        clustering.adjusted_rand_index(first, second), adjusted, atol=1e-12
    )


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
