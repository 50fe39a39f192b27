"""What diffusion and flow models of the behavior have in common."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.types import Array, Params, PRNGKey, Transition


class GenerativeLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, key, batch) to (state, metrics `[B]` ``loss``).
    deployed: state to the parameters that sample.
    sample: (params, key, observation `[O]`, n, num_steps) to actions `[n, A]` inside
      the box.
    """

    init: Callable[[PRNGKey], Any]
    update: Callable[[Any, PRNGKey, Transition], tuple[Any, PerTransition]]
    deployed: Callable[[Any], Params]
    sample: Callable[[Params, PRNGKey, Array, int, int], Array]
