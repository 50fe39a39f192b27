"""Settings by algorithm, task and preset: one module an algorithm.

Each module has ``get_config(task, preset)``. ``paper`` is the published protocol,
``laptop`` a useful result on two cores, ``smoke`` a quick proof that all parts work.
"""

from __future__ import annotations

from typing import Any

from experiments.configs import bc, empo, gem, iql, td3_bc
from gem_jax import algorithms
from gem_jax.data.tasks import Task

_MODULES = {"bc": bc, "empo": empo, "gem": gem, "iql": iql, "td3_bc": td3_bc}


def get_config(algo: str, task: Task, preset: str) -> Any:
    """The configuration of an algorithm for a task.

    Raises:
      UserError: there is no such algorithm.
    """
    algorithms.config_class(algo)
    return _MODULES[algo].get_config(task, preset)
