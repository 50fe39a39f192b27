"""SfBC's state, what acting reads of it, and the parts behind both."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import flax.struct
import optax

from gem_jax.learners import generative
from gem_jax.networks import bundle
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Params, PRNGKey


@flax.struct.dataclass
class State:
    """Attributes:
    behavior: the diffusion model.
    critic: of this generation; its output is in standard deviations of ``returns``
      from their mean.
    returns: `[D]` what it learns.
    next_value: `[D]` of each step's next state, by the generation before.
    scale: `[2]` mean and standard deviation of ``returns``.
    """

    behavior: TrainState
    critic: TrainState
    returns: Array
    next_value: Array
    scale: Array


class ActorParams(NamedTuple):
    """What acting reads."""

    behavior: Params
    critic: Params


class Parts(NamedTuple):
    """The behavior's learner, and the critic's network with its optimizer."""

    behavior: generative.GenerativeLearner
    critic: bundle.Network
    init_critic: Callable[[PRNGKey], TrainState]
    optimizer: optax.GradientTransformation
