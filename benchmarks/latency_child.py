"""One setting of the latency benchmark, in a process of its own.

Only a fresh process sees the whole time to its first action, and the peak that its
allocator counts belongs to this setting alone.

    python -m benchmarks.latency_child '{"method": "gem", ...}'
"""

from __future__ import annotations

import json
import sys
import time


def main() -> None:
    """Prints a line of JSON: the measurements, or the machine when asked for none."""
    start = time.perf_counter()
    # Imported here because importing is part of what is measured.
    from benchmarks import harness, latency_measure, latency_settings
    from experiments import candidate_memory
    from gem_jax import errors

    import_seconds = time.perf_counter() - start
    if len(sys.argv) == 1:
        free = candidate_memory.free_bytes()
        found = {"machine": harness.machine(), "free_bytes": free}
    else:
        setting = latency_settings.Setting(**json.loads(sys.argv[1]))
        try:
            found = latency_measure.measure(setting)
        except errors.UserError as error:
            found = {"user_error": str(error)}
        found["import_seconds"] = import_seconds
    print(json.dumps(found))


if __name__ == "__main__":
    main()
