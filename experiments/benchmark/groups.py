"""Names that stand for several tasks."""

from __future__ import annotations

from collections.abc import Sequence

from experiments.table import published
from gem_jax.data import tasks
from gem_jax.data.ogbench import rows as ogbench

_SUITES = ("locomotion", "antmaze", "maze2d")
_ALL = "all"


def expand(names: Sequence[str]) -> list[str]:
    """The names, a suite or one of OGBench's sets as its tasks; each once."""
    expanded = [task for name in names for task in _members(name) or [name]]
    return list(dict.fromkeys(expanded))


def _members(name: str) -> list[str]:
    """The tasks that a name stands for; none for that of a task."""
    suites = _SUITES if name == _ALL else (name,)
    if not set(suites) <= set(_SUITES):
        return ogbench.tasks_of(name)
    return [env for env in published.scores() if tasks.get(env).suite in suites]
