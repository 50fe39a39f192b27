"""Tells where two columns of observations say something else, rounding aside."""

from __future__ import annotations

import numpy as np

_COMPUTED = 1e-5  # relative: computed in float32, in an order of its own
_LEAST_SPREAD = 1e-4  # lest 0 and 1e-12 differ in a feature that is mostly 0
_SAMPLE = 10_000  # rows that the spread of a feature is taken from
_BLOCK = 65_536  # rows compared at once, which bounds the memory


def precision(*stored: np.dtype) -> float:
    """The relative difference that counts as rounding, by the coarsest dtype."""
    steps = [float(np.finfo(dtype).eps) for dtype in stored if dtype.kind == "f"]
    return max([_COMPUTED, *steps])  # integers round nothing


def differ(rows: np.ndarray, others: np.ndarray, precision: float) -> np.ndarray:
    """`[N]` bool: where two rows are not the same observation.

    They are not once a feature differs by more than ``precision`` of the sum of its
    value and its spread over most rows. The spread is there for values near 0, which
    computing leaves with errors of larger ones; a few wild values do not change it.
    What is not finite equals only what is not either.

    Args:
      rows: `[N, ...]` float32.
      others: `[N, ...]` float32.
      precision: relative, see ``precision``.
    """
    different = np.zeros(len(rows), bool)
    if not rows.size:
        return different
    spread = _spread(rows)
    for start in range(0, len(rows), _BLOCK):
        block = slice(start, start + _BLOCK)
        far = _far(rows[block], others[block], spread, precision)
        different[block] = far.reshape(len(far), -1).any(axis=1)
    return different


def _far(
    rows: np.ndarray, others: np.ndarray, spread: np.ndarray, precision: float
) -> np.ndarray:
    with np.errstate(invalid="ignore", over="ignore"):
        bound = np.float32(precision) * (np.abs(rows) + spread)
        # Not `>`, which a NaN would pass; and an infinite bound allows everything.
        close = (np.abs(others - rows) <= bound) & np.isfinite(bound)
    return ~close & (np.isfinite(rows) | np.isfinite(others))


def _spread(rows: np.ndarray) -> np.ndarray:
    """What the middle four fifths of each feature extend over."""
    chosen = np.linspace(0, len(rows) - 1, min(len(rows), _SAMPLE)).astype(np.int64)
    sample = rows[chosen]
    finite = np.isfinite(sample).reshape(len(sample), -1).all(axis=1)
    if not finite.any():
        return np.full(rows.shape[1:], _LEAST_SPREAD, rows.dtype)
    # No interpolation: between a wild value and the next it would be wild too.
    low, high = np.percentile(sample[finite], (10, 90), axis=0, method="nearest")
    with np.errstate(over="ignore"):
        spread: np.ndarray = np.maximum(high - low, np.float32(_LEAST_SPREAD))
    return spread
