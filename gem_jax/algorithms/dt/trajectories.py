"""What DT makes of a dataset: where trajectories end, and what is to come in each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping

import numpy as np

from gem_jax import checks, errors, sampling
from gem_jax.algorithm import PrepareFn, State
from gem_jax.algorithms.dt.config import NO_TARGET, Config
from gem_jax.ops import returns
from gem_jax.types import Array, PRNGKey, Transition

# A target so many times the largest return of the data is a slip of the unit. The
# reference asks for some 60 times of what walker2d-random has.
_TIMES = 100.0


def number(reward_scale: float) -> PrepareFn:
    """A ``prepare`` for windows: returns to go, and the places of the steps.

    ``extras["return_to_go"]`` `[D]` is the sum of the rewards from the step on, as far
    as its trajectory was recorded, times ``reward_scale``; ``extras["time"]`` `[D]`
    int32 counts the steps before it.
    """

    def prepare(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        del key
        # as in the reference, what follows a terminal is another trajectory
        stop = returns.ends(dataset.extras["episode"], dataset.terminal)
        time, after = returns.places(stop)
        to_go = reward_scale * returns.monte_carlo(dataset.reward, stop, 1.0)
        return state, {"return_to_go": to_go, "time": time, sampling.AFTER: after}

    return prepare


def make_check(config: Config) -> Callable[[Transition, Callable[[str], None]], None]:
    """Refuses data without trajectories, or that the settings do not fit."""
    return functools.partial(_check, config)


def _check(config: Config, dataset: Transition, log: Callable[[str], None]) -> None:
    checks.has_trajectories("windows need", dataset)
    ends = returns.ends(dataset.extras["episode"], dataset.terminal)
    stop = np.flatnonzero(ends)
    first = np.concatenate([[0], stop[:-1] + 1])
    longest = int(np.max(stop - first)) + 1
    if config.context > longest:
        raise errors.UserError(
            f"context={config.context} is more than the longest trajectory of the data "
            f"has, {longest} steps; lower --config.context"
        )
    if config.num_times < longest:
        raise errors.UserError(
            f"num_times={config.num_times} is less than the longest trajectory of the "
            f"data has, {longest} steps; raise --config.num_times"
        )
    totals = np.add.reduceat(np.asarray(dataset.reward, np.float64), first)
    _check_target(config.target_return, totals, log)


def _check_target(
    target: float, totals: np.ndarray, log: Callable[[str], None]
) -> None:
    """By the returns `[J]` of the data's trajectories.

    Targets above the best are the reference's on most tasks, and only noted.
    """
    best = totals.max()
    if target == NO_TARGET:
        raise errors.UserError(
            "dt has no target return for this task; give --config.target_return=R, say "
            f"the best return of the data, {best:g}"
        )
    if abs(target) > _TIMES * max(1.0, np.abs(totals).max()):
        raise errors.UserError(
            f"target_return={target:g} is more than {_TIMES:g} times any return of the "
            f"data, {totals.min():g} to {best:g}; give --config.target_return=R in "
            "rewards as recorded"
        )
    if target > best:
        log(
            f"note: target_return={target:g} is above the best return of the data, "
            f"{best:g}"
        )
