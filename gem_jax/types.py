"""Shape letters, array aliases and the records that cross module borders.

Shape letters, used in every docstring: `B` batch, `N` sampled candidates (a set has
`N + 1` members with its anchor), `C` members of a candidate set, `K` mixture
components or clusters, `E` ensemble members, `S` seeds trained side by side, `O`
observation size, `A` action size, `D` transitions in a dataset, `T` steps, `J`
trajectories.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax

from gem_jax.action_box import ActionBox

Array = jax.Array
PRNGKey = jax.Array
Params = Any  # a pytree of arrays
DISCOUNT = "discount"  # the extra by which targets weigh what follows several steps
Metrics = Mapping[str, Array]  # "component/quantity" -> scalar


class Transition(NamedTuple):
    """A batch, or a whole dataset, of steps; all leaves share the leading axes.

    Attributes:
      observation: `[..., O]`; normalized where an algorithm sees it.
      action: `[..., A]` in [-1, 1].
      reward: `[...]` after the reward transform.
      next_observation: `[..., O]`.
      terminal: `[...]` float, 1 where the task ended. A time limit is no terminal.
      extras: further arrays: ``episode``, int32, names the trajectory of each step of a
        dataset, whose trajectories follow each other; a phase's ``prepare`` adds more.
    """

    observation: Array
    action: Array
    reward: Array
    next_observation: Array
    terminal: Array
    extras: Mapping[str, Array] = {}


class EnvSpec(NamedTuple):
    """What an algorithm may know of its environment, and the size of its data.

    Attributes:
      observation_size: `O`.
      action_size: `A`; an algorithm's actions lie in [-1, 1].
      horizon: time limit of an episode, environment steps.
      num_transitions: `D`, size of the dataset; 0 where that is unknown.
      num_episodes: `J`, trajectories in it; 0 where that is unknown.
      action_low: `A` bounds of the environment's own actions; empty where they are
        [-1, 1] too. No algorithm's business: acting maps from one to the other.
      action_high: likewise.
    """

    observation_size: int
    action_size: int
    horizon: int
    num_transitions: int = 0
    num_episodes: int = 0
    action_low: tuple[float, ...] = ()
    action_high: tuple[float, ...] = ()

    @property
    def action_box(self) -> ActionBox:
        """Bounds of the environment's actions, with the map from [-1, 1] and back."""
        return ActionBox.of(self.action_low, self.action_high)


class PolicyParams(NamedTuple):
    """What acting reads of a trained state: no optimizers, no value of states.

    Attributes:
      normalizer: observation statistics, ``gem_jax.ops.normalize.Normalizer``.
      params: what the algorithm's ``actor_params`` took of its state.
    """

    normalizer: Any
    params: Params


class ActOutput(NamedTuple):
    """What acting returns.

    Attributes:
      action: `[B, A]`: in [-1, 1] from an algorithm, in the environment's units from
        whatever acts in it.
      audit: named diagnostics `[B]` of the chosen action; empty for most algorithms.
    """

    action: Array
    audit: Mapping[str, Array]
