"""What every algorithm's metrics come to on the tiny data, in golden.json.

python tests/algorithms/golden.py

writes them anew, after a change that is meant to change them.
"""

import json
import pathlib

from gem_jax import algorithms
from gem_jax.testing import contract

PATH = pathlib.Path(__file__).with_suffix(".json")


def metrics(name):
    """Those of the last update of each phase."""
    return {
        chunk.phase: {
            metric: float(f"{value.item():.6g}")
            for metric, value in sorted(chunk.metrics.items())
        }
        for chunk in contract.whole_run(contract.case(name))
        if chunk.phase_done
    }


if __name__ == "__main__":
    found = {name: metrics(name) for name in algorithms.names()}
    PATH.write_text(json.dumps(found, indent=1) + "\n")
