"""OGBench's single tasks: their rows of the table, their files, their rewards."""

from __future__ import annotations

from gem_jax.data.task import Task

SUITE = "ogbench"


def dataset(task: Task) -> str:
    """OGBench's name of the set that a task is learned from."""
    return f"{task.world}-{task.variant}-v0"
