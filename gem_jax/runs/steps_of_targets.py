"""How many steps a run's targets span."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from gem_jax import errors
from gem_jax.algorithm import Algorithm
from gem_jax.data.options import TOLD_BY_REWARDS
from gem_jax.runs.run_record import Run
from gem_jax.training import n_step
from gem_jax.types import Transition


def told(
    run: Run,
    algorithm: Algorithm,
    transitions: Transition,
    log: Callable[[str], None],
) -> Run:
    """The run with a number of steps, where that was left to the rewards.

    It is 1 for methods whose targets take single transitions.
    """
    if run.data.n_step != TOLD_BY_REWARDS:
        return run
    steps = 1
    if algorithm.n_step_discount is not None:
        steps = n_step.told_by(transitions)
        log(f"targets span {steps} step(s), as the rewards tell")
    return dataclasses.replace(run, data=run.data.override(n_step=steps))


def spanned(run: Run, algorithm: Algorithm, transitions: Transition) -> Transition:
    """The transitions with as many steps in each as the run asks for.

    Raises:
      UserError: the algorithm's targets take single transitions.
    """
    if run.data.n_step == 1:
        return transitions
    if algorithm.n_step_discount is None:
        raise errors.UserError(
            f"n_step={run.data.n_step} is not for {run.algo}, whose targets take "
            "single transitions; leave it at 1"
        )
    return n_step.span(transitions, run.data.n_step, algorithm.n_step_discount)
