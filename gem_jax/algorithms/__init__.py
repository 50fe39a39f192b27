"""The registry: name to configuration class and factory, one line an algorithm."""

from __future__ import annotations

from typing import Any

from gem_jax import errors
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import bc, empo, gem, iql, td3_bc
from gem_jax.types import EnvSpec

ALGORITHMS = {
    "bc": (bc.Config, bc.make),
    "empo": (empo.Config, empo.make),
    "gem": (gem.Config, gem.make),
    "iql": (iql.Config, iql.make),
    "td3_bc": (td3_bc.Config, td3_bc.make),
}


def config_class(name: str) -> type:
    """The configuration class of an algorithm.

    Raises:
      UserError: no algorithm has that name; the message lists those there are.
    """
    return _lookup(name)[0]


def make(name: str, config: Any, spec: EnvSpec) -> Algorithm:
    """Binds a configuration to an environment's sizes.

    Args:
      name: a key of ``ALGORITHMS``.
      config: an instance of that algorithm's ``Config``.
      spec: sizes of the environment.

    Raises:
      UserError: the name is unknown.
      TypeError: the configuration belongs to another algorithm.
    """
    expected, factory = _lookup(name)
    if not isinstance(config, expected):
        raise TypeError(f"{name} needs a {expected}, got {type(config)}")
    return factory(config, spec)


def _lookup(name: str) -> tuple[type, Any]:
    if name not in ALGORITHMS:
        known = ", ".join(sorted(ALGORITHMS))
        raise errors.UserError(f"unknown --algo={name!r}; choose one of {known}")
    return ALGORITHMS[name]
