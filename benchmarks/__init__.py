"""Timings. They print and record numbers; they never pass or fail."""
