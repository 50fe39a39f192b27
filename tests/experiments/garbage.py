"""Python's collector of garbage, in processes that trace a lot."""

import gc


def look_seldom():
    """Tracing makes objects by the million, hardly any in a cycle."""
    gc.freeze()  # what has been imported stays: collections need not look at it
    gc.set_threshold(100_000, 50, 100)
