"""How many updates a dispatch: enough to fill the machine, never many seconds' worth.

A signal is heard between two dispatches. So none lasts long, as far as those before can
tell, and before one that may last the state is saved: then it may be cut short.
"""

from __future__ import annotations

from gem_jax.algorithm import Phase
from gem_jax.training import loop

LONG_SECONDS = 6.0
SHORT_SECONDS = 1.0
ENOUGH = 200  # updates a dispatch; more would gain no speed that one could notice


class Pace:
    """Chooses the size of dispatches, always a divisor of ``log_every``."""

    def __init__(self, log_every: int, block: int | None = None) -> None:
        """Begins with the smallest divisor that is enough.

        With a ``block`` there is nothing to choose: dispatches are of that size, but
        for what is left before a line ends.
        """
        enough = min(ENOUGH, log_every)
        first = min(n for n in _divisors(log_every) if n >= enough)
        self._sizes = [block] if block else _divisors(first)
        self._line = log_every
        self._begin_phase()

    def _begin_phase(self) -> None:
        self._size = self._sizes[-1]
        # The last duration of each kind of dispatch: after a refresh or not, length.
        self._seconds: dict[tuple[bool, int], float] = {}
        self._each = 0.0  # seconds an update, of the last dispatch

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
        if phase_step == phase.num_steps:
            self._begin_phase()
            return
        refreshed = _refreshes(phase, phase_step - length)
        compiled = any(known == length for _, known in self._seconds)
        self._seconds[refreshed, length] = seconds
        before, self._each = self._each, seconds / length
        # One of a new length was compiled first, and those after a refresh say nothing
        # of an update. Two in a row are needed: one may have stood still for a while.
        if compiled and not refreshed and len(self._sizes) > 1:
            since = phase_step % phase.refresh_every if phase.refresh else phase_step
            self._fit(min(before, self._each), since)

    def _fit(self, each: float, since: int) -> None:
        """Chooses a size for updates that last ``each`` seconds.

        Sizes begin where a multiple of theirs, ``since`` the last refresh, is done:
        elsewhere one more length would be compiled.
        """
        fitting = [n for n in self._sizes if n == 1 or n * each <= LONG_SECONDS / 2]
        lasts = self._size * each
        if lasts > LONG_SECONDS:
            self._size = max(n for n in fitting if since % n == 0)
        elif lasts < SHORT_SECONDS and since % fitting[-1] == 0:
            self._size = fitting[-1]

    def may_last(self, phase: Phase, phase_step: int) -> bool:
        """Whether the dispatch that follows may take long; unknown ones may."""
        length = loop.chunk_length(phase, phase_step, self._size, self._line)
        kind = _refreshes(phase, phase_step), length
        return self._seconds.get(kind, LONG_SECONDS) >= LONG_SECONDS


def _refreshes(phase: Phase, phase_step: int) -> bool:
    return phase.refresh is not None and phase_step % phase.refresh_every == 0


def _divisors(number: int) -> list[int]:
    return [n for n in range(1, number + 1) if number % n == 0]
