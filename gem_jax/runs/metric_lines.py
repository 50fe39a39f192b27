"""Lines of metrics: means over the updates since the line before, however many
dispatches they took and however often they were interrupted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Line:
    """The line in the making.

    Sums are kept in float64 and means rounded to float32, so that the cuts between
    dispatches do not show.

    Attributes:
      updates: how many went in.
    """

    def __init__(self, notes: Mapping[str, Any]) -> None:
        """Begins a line, or goes on with the one that ``notes`` tells of."""
        self.updates: int = notes.get("updates", 0)
        self._sums = {
            name: np.array(sums) for name, sums in notes.get("sums", {}).items()
        }

    def add(
        self, values: Mapping[str, np.ndarray], seeds: Sequence[int], step: int
    ) -> None:
        """Takes in the updates of one dispatch.

        Args:
          values: `[S, L]` each.
          seeds: their names, `S`.
          step: after the last of them.

        Raises:
          FloatingPointError: names the first value that is not finite.
        """
        for name, value in values.items():
            value = np.asarray(value, np.float64)
            _require_finite(name, value, seeds, step)
            self._sums[name] = self._sums.get(name, 0.0) + value.sum(axis=1)
        self.updates += next(iter(values.values())).shape[1]

    def means(self, index: int) -> dict[str, float]:
        """Of one seed."""
        return {
            name: float(np.float32(sums[index] / self.updates))
            for name, sums in self._sums.items()
        }

    def notes(self) -> dict[str, Any]:
        """What ``__init__`` needs to go on; JSON-compatible and exact."""
        sums = {name: sums.tolist() for name, sums in self._sums.items()}
        return {"updates": self.updates, "sums": sums}


def _require_finite(
    name: str, value: np.ndarray, seeds: Sequence[int], step: int
) -> None:
    finite = np.isfinite(value)
    if not finite.all():
        row, column = np.argwhere(~finite)[0]
        raise FloatingPointError(
            f"{name} became {value[row, column]} for seed {seeds[row]} by update {step}"
        )
