from __future__ import annotations

import numpy as np
import pytest

from gem_jax.data import successors

FLOAT32 = successors.precision(np.dtype(np.float32))


def _rows(num=200):
    return np.random.default_rng(0).normal(size=(num, 3)).astype(np.float32)


@pytest.mark.parametrize("outlier", [1e6, np.inf, np.nan])
def test_an_outlier_hides_nothing(outlier):
    rows = _rows()
    others = rows.copy()
    rows[7, 1] = others[7, 1] = outlier
    others[50, 1] += 3.0
    others[60, 1] += 1e-3
    found = successors.differ(rows, others, FLOAT32)
    assert np.flatnonzero(found).tolist() == [50, 60]


def test_the_bound_by_hand():
    # The middle four fifths of 0, 1, ..., 10 reach from 1 to 9.
    rows = np.arange(11, dtype=np.float32)[:, None]
    for factor, far in ((0.9, False), (1.1, True)):
        others = rows + np.float32(factor * 0.01) * (rows + 8)
        assert successors.differ(rows, others, 0.01).tolist() == [far] * 11


def test_what_is_rounding_depends_on_the_size_of_the_feature():
    rows = _rows() / 1000
    others = rows.copy()
    others[4, 0] += 5e-6
    assert np.flatnonzero(successors.differ(rows, others, FLOAT32)).tolist() == [4]


def test_errors_of_large_numbers_near_0_are_rounding():
    rows = _rows()
    rows[3] = 0.0
    others = rows.copy()
    others[3] = 1e-6
    assert not successors.differ(rows, others, FLOAT32).any()
    others[3] = 1e-3
    assert np.flatnonzero(successors.differ(rows, others, FLOAT32)).tolist() == [3]


def test_noise_in_a_feature_that_is_mostly_0():
    rows = np.zeros((20, 1), np.float32)
    others = rows.copy()
    rows[4] = 1.0
    others[6:9, 0] = 1e-12, 1e-6, 1.0
    found = successors.differ(rows, others, FLOAT32)
    assert np.flatnonzero(found).tolist() == [4, 7, 8]


def test_integers_round_nothing():
    assert successors.precision(np.dtype(np.int64)) == 1e-5
    assert successors.precision() == 1e-5


def test_the_coarser_dtype_counts():
    rows = _rows()
    others = rows.astype(np.float16).astype(np.float32)
    precision = successors.precision(rows.dtype, np.dtype(np.float16))
    assert not successors.differ(rows, others, precision).any()
    assert successors.differ(rows, others, FLOAT32).mean() > 0.9
    assert successors.precision(np.dtype(np.float64), np.dtype(np.int8)) == FLOAT32


@pytest.mark.parametrize(
    ("row", "other", "different"),
    [
        (np.nan, np.nan, False),
        (np.inf, np.nan, False),
        (np.inf, 1.0, True),
        (1.0, np.inf, True),
        (np.nan, 1.0, True),
    ],
)
def test_what_is_not_finite(row, other, different):
    rows = _rows()
    others = rows.copy()
    rows[5, 0], others[5, 0] = row, other
    assert successors.differ(rows, others, FLOAT32)[5] == different
    assert not np.delete(successors.differ(rows, others, FLOAT32), 5).any()


def test_blocks_change_nothing(monkeypatch):
    rows = _rows()
    others = rows.copy()
    others[[0, 63, 64, 199]] += 1.0
    monkeypatch.setattr(successors, "_BLOCK", 64)
    found = successors.differ(rows, others, FLOAT32)
    assert np.flatnonzero(found).tolist() == [0, 63, 64, 199]


@pytest.mark.parametrize("shape", [(0, 3), (2, 0)])
def test_nothing_to_compare(shape):
    rows = np.zeros(shape, np.float32)
    assert successors.differ(rows, rows, FLOAT32).tolist() == [False] * shape[0]
