"""The benchmark commands, run as a user runs them."""

import os

import forked
import pytest


@pytest.fixture
def run_benchmark():
    """Runs ``python -m benchmarks.NAME``."""

    def run(name, *flags):
        environment = os.environ | {"JAX_PLATFORMS": "cpu"}
        return forked.run(f"benchmarks.{name}", *flags, environment=environment)

    return run
