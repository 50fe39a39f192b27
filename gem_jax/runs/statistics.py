"""Statistics over seeds, the same in every table and summary."""

from __future__ import annotations

from typing import Any

import numpy as np


def sample_std(values: Any, axis: int | None = None) -> Any:
    """Standard deviation with ddof = 1, as the papers' tables have it.

    Args:
      values: numbers, one a seed along ``axis``.
      axis: that of the seeds; all values when ``None``.

    Returns:
      Without ``axis`` a float; 0 for a single seed, which has no spread.
    """
    array = np.asarray(values, np.float64)
    count = array.size if axis is None else array.shape[axis]
    spread = np.std(array, axis=axis, ddof=1 if count > 1 else 0)
    return float(spread) if axis is None else spread


def mean_and_std(values: Any) -> str:
    """For a table: ``"20.0 ± 10.0 (3)"``, the number of seeds in parentheses."""
    return f"{np.mean(values):.1f} ± {sample_std(values):.1f} ({len(values)})"
