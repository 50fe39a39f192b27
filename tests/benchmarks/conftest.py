"""The benchmark commands, run as a user runs them."""

import os
import pathlib
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture
def run_benchmark():
    """Runs ``python -m benchmarks.NAME``."""

    def run(name, *flags):
        return subprocess.run(
            [sys.executable, "-m", f"benchmarks.{name}", *flags],
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
