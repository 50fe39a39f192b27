"""gem_jax: offline reinforcement learning by proposing, scoring and selecting actions.

``gem_jax.inference`` needs jax alone; ``load`` and ``Policy`` bring the rest with them
and are therefore imported on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gem_jax.policy import Policy as Policy
    from gem_jax.policy import load as load

__version__ = "0.1.0"

__all__ = ["Policy", "load"]


def __getattr__(name: str) -> Any:
    if name in __all__:
        from gem_jax import policy

        return getattr(policy, name)
    raise AttributeError(f"module 'gem_jax' has no attribute {name!r}")
