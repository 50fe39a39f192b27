"""Progress of long work: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time

_BAR_WIDTH = 30
_BAR_SECONDS = 0.1  # between redraws on a terminal
_LINE_SECONDS = 15.0  # between lines elsewhere, say in a log file


class Progress:
    """Shows how far counted work has come, its rate and the time left, on stderr."""

    def __init__(self, label: str, total: int, unit: str, enabled: bool = True) -> None:
        """Starts the clock.

        Args:
          label: what is done, a few words.
          total: amount of work, in ``unit``; 0 when unknown.
          unit: what is counted, say ``"steps"``.
          enabled: False shows nothing.
        """
        self._label, self._total, self._unit = label, total, unit
        self._enabled, self._terminal = enabled, sys.stderr.isatty()
        self._done = 0
        self._start = self._shown = time.monotonic()

    def add(self, amount: int) -> None:
        """Counts ``amount`` more as done."""
        self._done += amount
        if not self._enabled:
            return
        now = time.monotonic()
        pause = _BAR_SECONDS if self._terminal else _LINE_SECONDS
        finished = 0 < self._total <= self._done
        if finished or now - self._shown >= pause:
            self._shown = now
            self._show(now - self._start, finished)

    def _show(self, seconds: float, finished: bool) -> None:
        rate = self._done / max(seconds, 1e-9)
        text = f"{self._done:,}/{self._total:,} {self._unit} ({rate:,.0f}/s"
        if not finished and self._total:
            text += f", {(self._total - self._done) / max(rate, 1e-9):.0f} s left"
        fraction = min(self._done / self._total, 1.0) if self._total else 0.0
        if not self._terminal:
            print(f"{self._label}: {text})", file=sys.stderr, flush=True)
            return
        bar = "#" * round(_BAR_WIDTH * fraction)
        line = f"\r{self._label} [{bar:<{_BAR_WIDTH}}] {text})\x1b[K"
        print(line, end="\n" if finished else "", file=sys.stderr, flush=True)
