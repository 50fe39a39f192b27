"""Commands in processes forked from one that has imported what all of them import.

As ``python -m``, without the two seconds that imports take; for tests that start many.
"""

import contextlib
import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile
import time

import garbage
import jax

ROOT = pathlib.Path(__file__).resolve().parents[2]
_CONTEXT = multiprocessing.get_context("forkserver")
# None of them defines a flag or starts a device.
_CONTEXT.set_forkserver_preload(["gem_jax", "gem_jax.runs.runner", "minari", "h5py"])


class Command:
    """``python -m module flags`` from the checkout, under way."""

    def __init__(self, module, *flags, environment):
        self.flags = [module, *map(str, flags)]
        self._folder = tempfile.TemporaryDirectory()
        folder = self._folder.name
        self._process = _CONTEXT.Process(
            target=_main, args=(folder, module, self.flags[1:], environment)
        )
        self._process.start()

    def wait_until(self, happened, timeout=300):
        """Waits for what this command does, which must not end before."""
        deadline = time.monotonic() + timeout
        while not happened():
            late = time.monotonic() > deadline
            assert self._process.exitcode is None and not late, self.finish(0)
            time.sleep(0.005)  # polls what another process does

    def printed(self, name="out"):
        """What it has written so far to ``out`` or ``err``."""
        path = pathlib.Path(self._folder.name, name)
        return path.read_text() if path.exists() else ""

    def send_signal(self, how):
        with contextlib.suppress(ProcessLookupError):  # has ended
            os.kill(self._process.pid, how)

    def finish(self, timeout=600):
        """Waits for its end, which comes at the latest with ``timeout``."""
        self._process.join(timeout)
        ended = self._process.exitcode is not None
        self._process.kill()
        self._process.join()
        code, out, err = self._process.exitcode, self.printed(), self.printed("err")
        self._folder.cleanup()
        if not ended:
            raise subprocess.TimeoutExpired(self.flags, timeout, out, err)
        return subprocess.CompletedProcess(self.flags, code, out, err)


def run(module, *flags, environment):
    """Runs a command to its end."""
    return Command(module, *flags, environment=environment).finish()


def _main(folder, module, flags, environment):
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        with pathlib.Path(folder, name).open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS"))
    os.chdir(ROOT)
    garbage.look_seldom()
    sys.argv = [module, *flags]  # whose first is set by what follows
    runpy.run_module(module, run_name="__main__", alter_sys=True)
