"""A library call leaves the process as it found it."""

import subprocess
import sys

_HOST = """
import logging, os, signal, sys, warnings
import absl.logging, jax, numpy as np

absl.logging.use_absl_handler()
absl.logging.set_verbosity(absl.logging.INFO)
np.seterr(under="raise")
warnings.simplefilter("error", FutureWarning)
signal.signal(signal.SIGTERM, lambda *_: None)
jax.config.update("jax_numpy_rank_promotion", "raise")

def logger(name):
    it = logging.getLogger(name)
    return it.level, list(it.handlers), list(it.filters), it.propagate, it.disabled

def state():
    return {
        "absl's verbosity": absl.logging.get_verbosity(),
        "loggers": [logger(name) for name in (None, "absl", "jax")],
        "handlers": [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)],
        "descriptor": signal.set_wakeup_fd(-1),
        "errors": np.geterr(),
        "jax": dict(jax.config.values),
        "warnings": list(warnings.filters),
        "environment": dict(os.environ),
        "folder": os.getcwd(),
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook),
    }

def require_same(after):
    now = state()
    changed = {n: (before[n], now[n]) for n in now if before[n] != now[n]}
    assert not changed, (after, changed)

before = state()
import gem_jax
policy = gem_jax.load(sys.argv[1])
require_same("load")
from gem_jax.data import tasks
from gem_jax.training import checkpoint, evaluation
with checkpoint.open_store(sys.argv[2], {}) as store:
    checkpoint.save(store, 1, {"x": jax.numpy.ones(3)})
require_same("save")
with evaluation.make_evaluator(tasks.get("maze2d-umaze-v1"), policy.algorithm) as play:
    play(policy.params, evaluation.seed_key(0), [policy.knobs], 1)
require_same("an evaluation")
absl.logging.info("the host speaks")
"""


def test_load_save_and_evaluate_change_nothing_of_the_process(
    finished, environment, tmp_path
):
    result = subprocess.run(
        [sys.executable, "-c", _HOST, str(finished), str(tmp_path)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert result.returncode == 0, result.stderr
    lines = [line for line in result.stderr.splitlines() if "flag parsing" not in line]
    assert len(lines) == 1 and "the host speaks" in lines[0]
