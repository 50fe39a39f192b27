"""Which transitions of a dataset SSAR trusts (Luo et al., 2025)."""

from __future__ import annotations

from collections.abc import Callable

import jax.numpy as jnp
import numpy as np

from gem_jax import checks, errors
from gem_jax.ops import returns
from gem_jax.types import Array, Transition

TRUST = "trust"  # the extra: 1 for a trusted transition, else 0
BY_VALUE = "value"  # a critic decides, not the data alone
BY_DATA = ("return", "goal", "all")


def by_data(rule: str, threshold: float, dataset: Transition) -> Array:
    """`[D]` float, 1 where the data alone say that a transition is trusted.

    A trajectory ends at a terminal too, even where the data go on.

    Args:
      rule: ``return``, trajectories with a return above the threshold; ``goal``, those
        that end with more than the lowest reward there is; or ``all``.
      threshold: of returns.
      dataset: with ``extras["episode"]``, but under ``all``.
    """
    if rule == "all":
        return jnp.ones_like(dataset.reward)
    bound = threshold if rule == "return" else 0.0
    return (_scores(rule, dataset) > bound).astype(jnp.float32)


def require(
    rule: str, threshold: float, dataset: Transition, log: Callable[[str], None]
) -> None:
    """Says how much the data make trusted.

    Raises:
      UserError: nothing is, or trajectories are unknown.
    """
    if rule != "all":
        checks.has_trajectories(f"trust={rule} needs", dataset)
    share = float(np.mean(by_data(rule, threshold, dataset)))
    if share > 0.0:
        above = f" above {threshold:g}" if rule == "return" else ""
        log(f"trusted, by --config.trust={rule}{above}: {share:.1%} of the transitions")
        return
    found = "no trajectory ends with more than the lowest reward"
    remedy = "take --config.trust=value"
    if rule == "return":
        best = float(jnp.max(_scores(rule, dataset)))
        found = f"the highest return is {best:g}"
        remedy = f"lower --config.return_threshold={threshold:g}, or {remedy}"
    raise errors.UserError(f"trust={rule} trusts no transition: {found}; {remedy}")


def _scores(rule: str, dataset: Transition) -> Array:
    """`[D]` of each one's trajectory: its return, or 1 where it comes to a goal."""
    reward = jnp.asarray(dataset.reward)
    stop = returns.ends(
        jnp.asarray(dataset.extras["episode"]), jnp.asarray(dataset.terminal)
    )
    if rule == "goal":
        reward = (stop & (reward > jnp.min(reward))).astype(reward.dtype)
    return returns.totals(reward, stop)
