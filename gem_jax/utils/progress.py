"""Progress of long work: a bar on a terminal, now and then a line elsewhere."""

from __future__ import annotations

import sys
import time

import tqdm

_LINE_SECONDS = 15.0  # between lines where there is no terminal, say in a log file


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
        terminal = sys.stderr.isatty()
        self._lines = enabled and not terminal
        self._bar = tqdm.tqdm(
            total=total or None,
            desc=label,
            unit=f" {unit}",
            unit_scale=True,
            disable=not (enabled and terminal),
        )
        self._label, self._total, self._unit = label, total, unit
        self._done = 0
        self._start = self._shown = time.monotonic()

    def add(self, amount: int) -> None:
        """Counts ``amount`` more as done."""
        self._done += amount
        self._bar.update(amount)
        finished = 0 < self._total <= self._done
        if finished:
            self._bar.close()
        now = time.monotonic()
        if self._lines and (finished or now - self._shown >= _LINE_SECONDS):
            self._shown = now
            print(self._line(now - self._start), file=sys.stderr, flush=True)

    def _line(self, seconds: float) -> str:
        rate = self._done / max(seconds, 1e-9)
        speed = f"{rate:,.0f}/s" if rate >= 10 else f"{rate:.2g}/s"
        done = f"{self._label}: {self._done:,} {self._unit}"
        if not self._total:
            return f"{done} ({speed})"
        left = max(self._total - self._done, 0) / max(rate, 1e-9)
        return f"{done} of {self._total:,} ({speed}, {left:,.0f} s left)"
