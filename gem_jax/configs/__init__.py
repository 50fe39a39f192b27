"""Settings by algorithm, task and preset: one module an algorithm.

Each module has ``get_config(task, preset)``. ``paper`` is the published protocol,
``best`` one setting for all suites, where a module says ``HAS_BEST``, and ``paper``
elsewhere, ``laptop`` a useful result on two cores, ``smoke`` a quick proof that all
parts work. ``preset_data(preset)``, where a module has it, are fields of
``DataOptions``. An algorithm of another package may have ``get_config`` in its own
module; one that has none takes its defaults, and the gradient steps that the shorter
presets give to others.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

from gem_jax import algorithms
from gem_jax.configs import shared
from gem_jax.data.tasks import Task


def get_config(algo: str, task: Task, preset: str) -> Any:
    """The configuration of an algorithm for a task.

    Raises:
      UserError: there is no such algorithm.
    """
    module = _module(algo)
    if preset == "best" and not getattr(module, "HAS_BEST", False):
        preset = "paper"
    if hasattr(module, "get_config"):
        return module.get_config(task, preset)
    if preset == "paper":
        return module.Config()
    return module.Config(num_steps=shared.num_steps(task, preset))


def preset_data(algo: str, preset: str) -> Mapping[str, Any]:
    """Fields of ``DataOptions`` that an algorithm's preset chooses.

    Raises:
      UserError: there is no such algorithm.
    """
    module = _module(algo)
    return module.preset_data(preset) if hasattr(module, "preset_data") else {}


def _module(algo: str) -> Any:
    """Where an algorithm's settings are: for guests its own module."""
    module = algorithms.lookup(algo)
    if algorithms.is_own(module):
        return importlib.import_module(f"{__name__}.{algo}")
    return module
