"""The box of a task's actions, and the one map between it and [-1, 1].

Algorithms know actions in [-1, 1] alone. Data are mapped on loading, and what a policy
chooses is mapped back before anybody sees it; the box is part of a run's ``EnvSpec``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np


class ActionBox(NamedTuple):
    """Bounds of actions in raw units, those of the environment.

    Attributes:
      low: `A` numbers; empty where every action lies in [-1, 1].
      high: `A` numbers above ``low``, likewise.
    """

    low: tuple[float, ...] = ()
    high: tuple[float, ...] = ()

    @classmethod
    def of(cls, low: Sequence[float], high: Sequence[float]) -> ActionBox:
        """The box of some bounds; alike for all that are [-1, 1], given or left out."""
        if set(low) <= {-1.0} and set(high) <= {1.0}:
            return cls()
        return cls(tuple(low), tuple(high))

    @property
    def is_unit(self) -> bool:
        """Whether this is the box [-1, 1], in which nothing is mapped."""
        return not self.low

    @property
    def center(self) -> Any:
        """`[A]` float32, the raw action that is 0 in [-1, 1]; 0 if that is the box."""
        if self.is_unit:
            return np.float32(0.0)
        pairs = zip(self.low, self.high, strict=True)
        return np.array([(low + high) / 2 for low, high in pairs], np.float32)

    @property
    def _half_width(self) -> np.ndarray:
        pairs = zip(self.low, self.high, strict=True)
        return np.array([(high - low) / 2 for low, high in pairs], np.float32)

    def to_unit(self, action: Any) -> Any:
        """`[..., A]` of NumPy or JAX from raw units to [-1, 1], beyond it if outside.

        What comes out may exceed 1 by a rounding.
        """
        if self.is_unit:
            return action
        return (action - self.center) / self._half_width

    def to_raw(self, action: Any) -> Any:
        """`[..., A]` of NumPy or JAX from [-1, 1] to raw units, never outside the box.

        In the box [-1, 1] an action stays as it is, wherever it lies.
        """
        if self.is_unit:
            return action
        return self.clip(self.center + self._half_width * action)

    def clip(self, action: Any) -> Any:
        """Raw actions `[..., A]` of NumPy or JAX, brought into the box."""
        if self.is_unit:
            return action.clip(-1.0, 1.0)
        low, high = (np.array(bounds, np.float32) for bounds in self)
        return action.clip(low, high)

    def __str__(self) -> str:
        """``"[-1, 1]"``, or the bounds of each component unless they are alike."""
        if self.is_unit:
            return "[-1, 1]"
        low, high = (_listed(bounds) for bounds in self)
        return f"[{low}, {high}]"


def _listed(bounds: tuple[float, ...]) -> str:
    if len(set(bounds)) == 1:
        return f"{bounds[0]:g}"
    return f"({', '.join(f'{bound:g}' for bound in bounds)})"
