"""gem_jax: offline reinforcement learning by proposing, scoring and selecting actions.

    policy = gem_jax.train("antmaze-umaze-v2", "gem")
    output = policy.act(jax.random.key(0), observation)

``gem_jax.inference`` needs jax alone; everything else is imported on first use.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gem_jax.algorithms import make as make
    from gem_jax.policy import Policy as Policy
    from gem_jax.policy import load as load
    from gem_jax.runs.training import train as train

__version__ = "0.3.0"

__all__ = ["Policy", "load", "make", "train"]

_HOMES = {
    "Policy": "policy",
    "load": "policy",
    "make": "algorithms",
    "train": "runs.training",
}
_SUBMODULES = {module.name for module in pkgutil.iter_modules(__path__)}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        home = importlib.import_module(f"{__name__}.{_HOMES[name]}")
        return getattr(home, name)
    if name in _SUBMODULES:
        return importlib.import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_SUBMODULES})
