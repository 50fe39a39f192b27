"""One setting of the latency benchmark, in a process of its own.

Only a fresh process sees the whole time to its first action, and the peak that its
allocator counts belongs to this setting alone.

    python -m benchmarks.latency.child '{"method": "gem", ...}'
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Prints a line of JSON: the measurements, or the machine when asked for none."""
    start = time.perf_counter()
    # Imported here because importing is part of what is measured.
    from benchmarks import harness
    from benchmarks.latency import measure as latency_measure
    from benchmarks.latency import settings as latency_settings
    from gem_jax import errors
    from gem_jax.runs import candidate_memory

    import_seconds = time.perf_counter() - start
    if len(sys.argv) == 1:
        free = candidate_memory.free_bytes()
        report = {"machine": harness.machine(), "free_bytes": free}
    else:
        setting = latency_settings.Setting(**json.loads(sys.argv[1]))
        try:
            report = latency_measure.measure(setting)
        except errors.UserError as error:
            report = {"user_error": str(error)}
        report["import_seconds"] = import_seconds
    print(json.dumps(report))


if __name__ == "__main__":
    main()
