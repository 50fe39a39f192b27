"""Settings by algorithm, task and preset: one module an algorithm.

Each module has ``get_config(task, preset)``. ``paper`` is the published protocol,
``laptop`` a useful result on two cores, ``smoke`` a quick proof that all parts work.
An algorithm of another package may have ``get_config`` in its own module; one that has
none takes its defaults, and the gradient steps that the shorter presets give to others.
"""

from __future__ import annotations

import importlib
from typing import Any

from gem_jax import algorithms
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(algo: str, task: Task, preset: str) -> Any:
    """The configuration of an algorithm for a task.

    Raises:
      UserError: there is no such algorithm.
    """
    module: Any = algorithms.lookup(algo)
    if algorithms.is_own(module):
        module = importlib.import_module(f"{__name__}.{algo}")
    if hasattr(module, "get_config"):
        return module.get_config(task, preset)
    if preset == "paper":
        return module.Config()
    return module.Config(num_steps=shared.num_steps(task, preset))
