"""What all tests share: quickly compiled programs, cached; strict shapes; a key."""

import functools
import importlib.metadata
import os
import tempfile

# Set before JAX is imported, and inherited by the workers and by the commands that
# tests run: what one has compiled, no other compiles again.
_cache = None
if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
    _cache = tempfile.TemporaryDirectory(prefix="compiled-")
    os.environ["JAX_COMPILATION_CACHE_DIR"] = _cache.name
    os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    os.environ["JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES"] = "-1"
    # Nothing locks the cache: what another process is still writing is compiled anew.
    ignored = "ignore:Error reading persistent compilation cache"
    own = os.environ.get("PYTHONWARNINGS")
    os.environ["PYTHONWARNINGS"] = f"{own},{ignored}" if own else ignored

# Most of a test's time is compilation, and its programs run for milliseconds. Without
# optimization, without the emitters of fused loops, and with each program in one piece,
# it takes less.
_KNOWN = importlib.metadata.version("jaxlib").startswith("0.10.")
_quickly = "--xla_backend_optimization_level=0 --xla_cpu_parallel_codegen_split_count=1"
if _KNOWN:
    _quickly += " --xla_cpu_use_fusion_emitters=false"  # unknown to later ones
os.environ["XLA_FLAGS"] = f"{_quickly} {os.environ.get('XLA_FLAGS', '')}".strip()

import garbage  # noqa: E402
import jax  # noqa: E402
import pytest  # noqa: E402

if _KNOWN:
    # Every program is written down in a context of its own, which takes longer to make
    # than most programs to write. Programs of one process may share it.
    from jax._src.interpreters import mlir

    mlir.make_ir_context = functools.cache(mlir.make_ir_context)

# A silent [B] - [B, 1] -> [B, B] becomes an error.
jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_collection_finish():
    """Nothing more is imported from here on."""
    garbage.look_seldom()


@pytest.fixture
def key():
    return jax.random.key(0)
