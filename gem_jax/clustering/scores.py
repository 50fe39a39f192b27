"""How well two partitions agree, whatever their labels are called."""

from __future__ import annotations

import numpy as np


def confusion_matrix(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Counts `[labels of first, labels of second]`, labels in ascending order.

    Args:
      first: `[J]` labels, for example the true ones.
      second: `[J]` labels.

    Raises:
      ValueError: no items, or not equally many.
    """
    first, second = np.asarray(first), np.asarray(second)
    if first.ndim != 1 or first.shape != second.shape or not first.size:
        raise ValueError(
            f"two [J] arrays of labels are needed, got {first.shape} and {second.shape}"
        )
    rows, row = np.unique(first, return_inverse=True)
    columns, column = np.unique(second, return_inverse=True)
    counts = np.zeros((len(rows), len(columns)), np.int64)
    np.add.at(counts, (row, column), 1)
    return counts


def rand_index(first: np.ndarray, second: np.ndarray) -> float:
    """Share of pairs of items that both partitions join, or both part; 1 at best."""
    both, in_first, in_second, pairs = _pairs(first, second)
    return 1.0 if pairs == 0.0 else 1.0 - (in_first + in_second - 2.0 * both) / pairs


def adjusted_rand_index(first: np.ndarray, second: np.ndarray) -> float:
    """Rand index corrected for chance: 1 for equal partitions, about 0 for random.

    Source: Hubert and Arabie, Comparing partitions, 1985.
    """
    both, in_first, in_second, pairs = _pairs(first, second)
    highest = (in_first + in_second) / 2.0
    expected = in_first * in_second / pairs if pairs else 0.0
    if highest == expected:  # both join all, or both part all
        return 1.0
    return (both - expected) / (highest - expected)


def _pairs(first: np.ndarray, second: np.ndarray) -> tuple[float, float, float, float]:
    """Pairs joined by both partitions, by the first, by the second; all pairs."""
    counts = confusion_matrix(first, second)

    def joined(sizes: np.ndarray) -> float:
        return float((sizes * (sizes - 1.0)).sum() / 2.0)

    total = np.array([counts.sum()])
    return joined(counts), joined(counts.sum(1)), joined(counts.sum(0)), joined(total)
