"""Signals are heard in Python and outside it, and the handlers are given back."""

import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest

from gem_jax.training import interrupt

NUMBERS = (signal.SIGINT, signal.SIGTERM)
# Seconds of C code that no handler interrupts, as a compilation is.
LONG = "hashlib.pbkdf2_hmac('sha256', b'', b'', 10**9)"


def send(number):
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", NUMBERS)
def test_the_first_signal_is_told_when_asked(number):
    with interrupt.watch(raising=False) as watch:
        assert not watch()
        watch.check()
        send(number)
        assert watch()
        with pytest.raises(interrupt.Interrupted) as raised:
            watch.check()
    assert raised.value.exit_code == 128 + number
    assert isinstance(raised.value, KeyboardInterrupt)


def test_a_library_call_ends_no_process(monkeypatch):
    monkeypatch.setattr(interrupt.Watch, "_end", lambda *_: pytest.fail("ended"))
    monkeypatch.setattr(interrupt, "GRACE_SECONDS", 0.0)
    monkeypatch.setattr(interrupt, "REPEAT_SECONDS", 0.0)
    with interrupt.watch(raising=False) as watch:
        watch.expendable = True
        send(signal.SIGTERM)
        time.sleep(0.3)  # longer than the grace, which must not end a host
        with pytest.raises(interrupt.Interrupted):
            send(signal.SIGINT)
            pytest.fail("the program went on")


def test_or_raised_where_the_program_is():
    with pytest.raises(interrupt.Interrupted), interrupt.watch():
        send(signal.SIGTERM)
        pytest.fail("the program went on")


def test_an_inner_watch_asks_and_one_that_came_too_late_is_raised_at_its_end():
    reached = []
    with pytest.raises(interrupt.Interrupted), interrupt.watch() as outer:
        with interrupt.watch(raising=False) as inner:
            assert inner is outer and not inner.expendable
            send(signal.SIGINT)
            reached.append("inner")
        reached.append("outer")
    assert reached == ["inner"]


def test_handlers_and_the_wakeup_descriptor_are_given_back():
    def state():
        descriptor = signal.set_wakeup_fd(-1)
        signal.set_wakeup_fd(descriptor)
        return [signal.getsignal(n) for n in NUMBERS], descriptor

    before, threads = state(), threading.active_count()
    descriptors = len(os.listdir("/proc/self/fd"))
    for raising in (False, True):
        with interrupt.watch(raising=raising):
            assert state() != before
        assert state() == before
    assert threading.active_count() == threads
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_another_thread_hears_nothing_and_is_not_refused():
    heard = []

    def work():
        with interrupt.watch(raising=False) as watch:
            heard.append(watch())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert heard == [False]


def start(body, grace, repeat=0.0):
    code = (
        "import hashlib, time\n"
        "from gem_jax.training import interrupt\n"
        f"interrupt.GRACE_SECONDS, interrupt.REPEAT_SECONDS = {grace}, {repeat}\n"
        "with interrupt.watch(), interrupt.watch(raising=False) as watch:\n"
        f"    {body}\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"ready\n"
    return process


def deliver(process, number):
    """Sends a signal and waits until it is taken: two that are pending are one."""
    process.send_signal(number)
    status = pathlib.Path(f"/proc/{process.pid}/status")
    while process.poll() is None:
        pending = [row for row in status.read_text().splitlines() if "Pnd:" in row]
        if not any(int(row.split()[1], 16) >> (number - 1) & 1 for row in pending):
            return
        time.sleep(0.01)  # polls what the kernel reports


@pytest.mark.parametrize("first", NUMBERS)
@pytest.mark.parametrize("second", NUMBERS)
@pytest.mark.parametrize("expendable", [False, True])
def test_a_second_signal_of_either_kind_ends_at_once(first, second, expendable):
    process = start(
        f"watch.expendable = {expendable}; print('ready', flush=True); {LONG}",
        grace=1000,
    )
    deliver(process, first)
    time.sleep(0.2)  # the first signal must not end it
    assert process.poll() is None
    deliver(process, second)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 128 + second
    outcome = "the same command continues" if expendable else "not saved is lost"
    assert error.count(b"\n") == 1 and second.name.encode() in error
    assert outcome.encode() in error


@pytest.mark.parametrize("again", NUMBERS)
def test_one_that_arrives_twice_is_one(again):
    body = "print('ready', flush=True); input(); print('saved', watch(), flush=True)"
    process = start(body, grace=0.0, repeat=1000)
    for number in (signal.SIGINT, again):
        deliver(process, number)
    output, error = process.communicate(b"both have arrived\n", timeout=60)
    assert output == b"saved True\n", error
    assert b"Interrupted: SIGINT" in error  # at the end


def test_what_is_expendable_ends_soon_after_one_signal():
    body = f"watch.expendable = True; print('ready', flush=True); {LONG}"
    process = start(body, grace=0.2)
    process.send_signal(signal.SIGTERM)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 143 and b"the same command continues" in error


def test_what_is_not_saved_is_waited_for():
    body = "print('ready', flush=True); input(); print(watch(), flush=True)"
    process = start(body, grace=0.2)
    deliver(process, signal.SIGTERM)
    time.sleep(0.5)  # longer than the grace
    assert process.poll() is None
    output, error = process.communicate(b"the state\n", timeout=60)
    assert output == b"True\n" and b"Interrupted: SIGTERM" in error  # at the end
