"""Commands in processes forked from one that has imported what all of them import.

As ``python -m``, without the two seconds that imports take; for tests that start many.
"""

import multiprocessing
import os
import pathlib
import runpy
import subprocess
import sys
import tempfile

import jax

ROOT = pathlib.Path(__file__).resolve().parents[2]
_CONTEXT = multiprocessing.get_context("forkserver")
# None of them defines a flag or starts a device.
_CONTEXT.set_forkserver_preload(["gem_jax", "gem_jax.runs.runner", "minari", "h5py"])


def run(module, *flags, environment, timeout=600):
    """Runs ``python -m module flags`` from the checkout to its end."""
    with tempfile.TemporaryDirectory() as folder:
        process = _CONTEXT.Process(
            target=_main, args=(folder, module, list(map(str, flags)), environment)
        )
        process.start()
        process.join(timeout)
        ended = process.exitcode is not None
        process.kill()
        process.join()
        out, err = (
            path.read_text() if path.exists() else ""
            for path in (pathlib.Path(folder, name) for name in ("out", "err"))
        )
    if not ended:
        raise subprocess.TimeoutExpired(module, timeout, out, err)
    return subprocess.CompletedProcess([module, *flags], process.exitcode, out, err)


def _main(folder, module, flags, environment):
    for name, stream in (("out", sys.stdout), ("err", sys.stderr)):
        with pathlib.Path(folder, name).open("w") as file:
            os.dup2(file.fileno(), stream.fileno())
    os.environ.clear()
    os.environ.update(environment)
    jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS"))
    os.chdir(ROOT)
    sys.argv = [module, *flags]  # whose first is set by what follows
    runpy.run_module(module, run_name="__main__", alter_sys=True)
