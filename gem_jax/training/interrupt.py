"""Ctrl-C and SIGTERM: heard at once, obeyed as soon as what matters is saved.

Python runs a signal's handler between two of its own instructions, so that one that
arrives while a program compiles or computes waits for it. A thread therefore listens
beside: it ends the process when a second signal comes, and after the first when the
interpreter does not get to it and there is nothing to save.

One interrupt may arrive twice: a terminal sends Ctrl-C to all that run in front, and a
launcher among them passes it on.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import threading
import time
from collections.abc import Iterator
from types import FrameType

from gem_jax.utils import programs

GRACE_SECONDS = 8.0  # after a signal, for an end in order
REPEAT_SECONDS = 0.5  # after a signal, in which others are the same one again

_HANDLED = (signal.SIGINT, signal.SIGTERM)
_active: Watch | None = None  # as the handlers are, the process's


class Interrupted(KeyboardInterrupt):
    """SIGINT or SIGTERM arrived.

    Attributes:
      exit_code: 130 or 143, as a shell has it of a process that a signal ended.
    """

    def __init__(self, number: int) -> None:
        super().__init__(signal.Signals(number).name)
        self.exit_code = 128 + number


class Watch:
    """What has arrived, and what is to be done about it.

    Attributes:
      raising: the first signal raises ``Interrupted`` wherever the program is, instead
        of waiting to be asked for.
      expendable: nothing would be lost if the process ended here and now.
      own: whether the process is ours to end, as a command's is.
    """

    def __init__(self, *, raising: bool) -> None:
        self.raising = self.expendable = self.own = raising
        self._received: int | None = None
        self._since = 0.0

    def __call__(self) -> bool:
        """Whether a signal has arrived."""
        return self._received is not None

    def check(self) -> None:
        """Raises ``Interrupted`` if a signal has arrived."""
        if self._received is not None:
            raise Interrupted(self._received)

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The signals' handler, in the main thread."""
        del frame
        now = time.monotonic()
        if self._received is None:
            self._received, self._since = number, now
            if self.raising:
                raise Interrupted(number)
        elif now - self._since >= REPEAT_SECONDS:
            if self.own:
                self._end(number)
            raise Interrupted(number)

    def listen(self, read: int) -> None:
        """The thread beside; returns when the other end of the pipe is closed."""
        first, since = 0, 0.0
        while True:
            left = since + GRACE_SECONDS - time.monotonic()
            wait = max(left, 0.1) if first else None
            if select.select([read], [], [], wait)[0]:
                arrived = os.read(read, 64)
                if not arrived:
                    return
                for number in arrived:
                    if number not in _HANDLED:
                        continue
                    now = time.monotonic()
                    if not first:
                        first, since = number, now
                    elif now - since >= REPEAT_SECONDS:
                        self._end(number)
            elif self.expendable and left <= 0.1:
                self._end(first)

    def _end(self, number: int) -> None:
        outcome = (
            "the same command continues or begins anew"
            if self.expendable
            else "what was not saved is lost"
        )
        line = f"{programs.name()}: ended by {signal.Signals(number).name}; {outcome}"
        os.write(2, f"{line}\n".encode())
        os._exit(128 + number)


@contextlib.contextmanager
def watch(*, raising: bool = True) -> Iterator[Watch]:
    """Listens to SIGINT and SIGTERM, and leaves their handlers as they were.

    With ``raising``, as commands have it, a second signal of either kind ends the
    process, and after the first one there are ``GRACE_SECONDS`` wherever nothing would
    be lost, see ``Watch``. Without, a second one raises ``Interrupted``. Those within
    ``REPEAT_SECONDS`` of the first are part of it.

    Inside another ``watch`` the way of listening changes and changes back. In another
    thread than the main one, which cannot listen, nothing ever arrives.
    """
    if threading.current_thread() is not threading.main_thread():
        yield Watch(raising=False)
    elif _active is not None:
        with _changed(_active, raising):
            yield _active
    else:
        with _installed(Watch(raising=raising)) as watching:
            yield watching


@contextlib.contextmanager
def _changed(watching: Watch, raising: bool) -> Iterator[None]:
    before = watching.raising, watching.expendable
    watching.raising = watching.expendable = raising
    try:
        yield
    finally:
        watching.raising, watching.expendable = before
    if watching.raising:
        watching.check()  # it came too late to be asked for


@contextlib.contextmanager
def _installed(watching: Watch) -> Iterator[Watch]:
    global _active
    with _listening(watching) if watching.own else contextlib.nullcontext():
        previous = {n: signal.signal(n, watching.handle) for n in _HANDLED}
        _active = watching
        try:
            yield watching
        finally:
            _active = None
            for number, handler in previous.items():
                signal.signal(number, handler)


@contextlib.contextmanager
def _listening(watching: Watch) -> Iterator[None]:
    read, write = os.pipe()
    os.set_blocking(write, False)
    listener = threading.Thread(target=watching.listen, args=(read,), daemon=True)
    listener.start()
    descriptor = signal.set_wakeup_fd(write, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(descriptor)
        os.close(write)
        listener.join()
        os.close(read)
