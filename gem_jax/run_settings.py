"""From the ``config.json`` of a run folder back to settings and to an algorithm."""

from __future__ import annotations

from typing import Any

from gem_jax import algorithms, errors
from gem_jax.algorithm import Algorithm
from gem_jax.types import EnvSpec


def rebuild(run: dict[str, Any]) -> tuple[Algorithm, EnvSpec]:
    """The algorithm and the sizes that a ``config.json`` describes.

    Raises:
      UserError: it lacks something, or names settings that this version has not.
    """
    config, spec = settings(run)
    return algorithms.make(run["algo"], config, spec), spec


def settings(run: dict[str, Any]) -> tuple[Any, EnvSpec]:
    """The configuration and the sizes that a ``config.json`` describes.

    Raises:
      UserError: it lacks something, or names settings that this version has not.
    """
    try:
        config = algorithms.config_class(run["algo"])(**_tuples(run["config"]))
        return config, EnvSpec(**_tuples(run["spec"]))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise errors.UserError(
            f"config.json does not describe a run of this version ({error}); use the "
            f"version it was made with: {run.get('versions', {}).get('gem_jax')}"
        ) from None


def _tuples(fields: dict[str, Any]) -> dict[str, Any]:
    """Fields as they were before JSON made lists of tuples."""
    return {
        name: tuple(value) if isinstance(value, list) else value
        for name, value in fields.items()
    }
