"""Ctrl-C and SIGTERM as a question that a loop asks at its own time."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def stop_requested() -> Iterator[Callable[[], bool]]:
    """Yields a function that turns true once SIGINT or SIGTERM arrived.

    A second SIGINT raises ``KeyboardInterrupt``, for whoever cannot wait.
    """
    received: list[int] = []

    def remember(number: int, frame: FrameType | None) -> None:
        del frame
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        received.append(number)

    handled = (signal.SIGINT, signal.SIGTERM)
    previous = {number: signal.signal(number, remember) for number in handled}
    try:
        yield lambda: bool(received)
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
