"""The registry: an algorithm is a module with ``Config``, ``make`` and ``TINY``.

``make(config, spec)`` gives an ``Algorithm``; ``TINY`` maps fields of ``Config`` to
sizes with which it trains in a moment, for the contract test. The modules of this
package are registered by their own names. Another package calls ``register``, or
declares an entry point of the group ``gem_jax.algorithms``, whose name is the
algorithm's and whose value is the module.
"""

from __future__ import annotations

import dataclasses
import importlib
import importlib.metadata
import pkgutil
from collections.abc import Mapping
from typing import Any, Protocol, cast

from gem_jax import errors
from gem_jax.algorithm import Algorithm
from gem_jax.types import EnvSpec
from gem_jax.utils import caching

GROUP = "gem_jax.algorithms"  # of entry points


class AlgorithmModule(Protocol):
    """What a registered module has."""

    Config: type
    TINY: Mapping[str, Any]

    def make(self, config: Any, spec: EnvSpec) -> Algorithm: ...


_registered: dict[str, AlgorithmModule] = {}


def register(name: str, module: Any) -> None:
    """Makes an algorithm known under ``name``; the last registration counts.

    Args:
      name: for ``--algo`` and for run folders.
      module: with ``Config``, a frozen dataclass whose every field has a default,
        ``make`` and ``TINY``; perhaps ``get_config(task, preset)``, its settings by
        task, and ``with_proposer``, see ``gem_jax.proposing``.

    Raises:
      TypeError: the module lacks one of these.
    """
    for needed in ("Config", "make", "TINY"):
        if not hasattr(module, needed):
            raise TypeError(f"algorithm {name}: its module has no {needed}")
    if not dataclasses.is_dataclass(module.Config):
        raise TypeError(f"algorithm {name}: Config must be a dataclass")
    _registered[name] = cast(AlgorithmModule, module)


def names() -> list[str]:
    """Every algorithm there is, in alphabetical order."""
    return sorted(_own() | _registered.keys() | _entry_points().keys())


def lookup(name: str) -> AlgorithmModule:
    """The module of an algorithm.

    Raises:
      UserError: no algorithm has that name; the message lists those there are.
    """
    if name in _registered:
        return _registered[name]
    if name in _own():
        register(name, importlib.import_module(f"{__name__}.{name}"))
    elif name in (elsewhere := _entry_points()):
        register(name, elsewhere[name].load())
    else:
        known = ", ".join(names())
        raise errors.UserError(f"unknown --algo={name!r}; choose one of {known}")
    return _registered[name]


def is_own(module: Any) -> bool:
    """Whether it is a module of this package, and not one that somebody registered."""
    return getattr(module, "__package__", "").startswith(__name__)


def config_class(name: str) -> type:
    """The configuration class of an algorithm.

    Raises:
      UserError: no algorithm has that name; the message lists those there are.
    """
    return lookup(name).Config


def make(name: str, config: Any, spec: EnvSpec) -> Algorithm:
    """Binds a configuration to an environment's sizes.

    The same ones give the same algorithm, whose functions are compiled once.

    Args:
      name: one of ``names()``.
      config: an instance of that algorithm's ``Config``.
      spec: sizes of the environment.

    Raises:
      UserError: the name is unknown.
      TypeError: the configuration belongs to another algorithm.
    """
    module = lookup(name)
    if not isinstance(config, module.Config):
        raise TypeError(f"{name} needs a {module.Config}, got {type(config)}")
    return _make(module, config, spec, repr((config, spec)))


@caching.kept
def _make(
    module: AlgorithmModule, config: Any, spec: EnvSpec, written: str
) -> Algorithm:
    """Told apart as they are written too, since 1 equals 1.0 and True."""
    del written
    return module.make(config, spec)


def tiny_config(name: str, **changes: Any) -> Any:
    """A configuration that trains in a moment.

    Raises:
      UserError: the name is unknown.
    """
    module = lookup(name)
    return module.Config(**{**module.TINY, **changes})


def _own() -> set[str]:
    modules = (module.name for module in pkgutil.iter_modules(__path__))
    return {name for name in modules if not name.startswith("_")}


def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}
