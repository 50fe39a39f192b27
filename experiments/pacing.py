"""How many updates a dispatch: enough to fill the machine, never many seconds' worth.

A signal is heard between two dispatches. So none lasts long, as far as the one before
can tell, and before one that may last the state is saved: then it may be cut short.
"""

from __future__ import annotations

from gem_jax.algorithm import Phase

LONG_SECONDS = 6.0
_ENOUGH = 200  # updates a dispatch; what it costs beside is then beyond notice


class Pace:
    """Chooses the size of dispatches, always a divisor of ``log_every``."""

    def __init__(self, log_every: int) -> None:
        """Begins with the smallest divisor that is enough."""
        self._first = min(
            n for n in _divisors(log_every) if n >= min(_ENOUGH, log_every)
        )
        self._size = self._first
        self._phase = ""
        self._seconds: dict[bool, float] = {}  # the last, after a refresh or not

    def size(self) -> int:
        """Updates of the next dispatch."""
        return self._size

    def took(self, phase: Phase, phase_step: int, length: int, seconds: float) -> None:
        """Notes how long a dispatch lasted, and perhaps chooses another size.

        Args:
          phase: of the dispatch.
          phase_step: updates of the phase after it.
          length: its updates.
          seconds: its duration, with what came before its first update.
        """
        entered = phase.name != self._phase
        if entered:
            self._phase, self._size, self._seconds = phase.name, self._first, {}
        refreshed = _refreshes(phase, phase_step - length)
        self._seconds[refreshed] = seconds
        # The first one compiled, and those after a refresh say nothing of an update.
        if entered or refreshed or seconds <= LONG_SECONDS:
            return
        fitting = LONG_SECONDS / 2 / (seconds / length)
        smaller = max(n for n in _divisors(self._size) if n <= max(fitting, 1))
        if smaller < self._size:  # which compiles
            self._size = smaller
            del self._seconds[refreshed]

    def may_last(self, phase: Phase, phase_step: int) -> bool:
        """Whether the dispatch that follows may take long; unknown ones may."""
        before = self._seconds.get(_refreshes(phase, phase_step), LONG_SECONDS)
        return before >= LONG_SECONDS


def _refreshes(phase: Phase, phase_step: int) -> bool:
    return phase.refresh is not None and phase_step % phase.refresh_every == 0


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
