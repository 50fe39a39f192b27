"""EMPO's state, and the learners that its phases are made of."""

from __future__ import annotations

from typing import NamedTuple

import flax.struct

from gem_jax import clustering
from gem_jax.algorithms.empo import choice_learner, policy_learner, value_learners
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Transition


@flax.struct.dataclass
class State:
    """Attributes:
    clusters: behaviors under cloning, their average, classifier, and posterior `[J, K]`
      of the trajectories.
    label: `[J]` int32 A(tau), cluster of each trajectory by the final behaviors.
    critic: Q of the behaviors and its target.
    value: V of the behaviors.
    advantage_scale: `[2]` mean and deviation that advantages are standardized by.
    policy: the improved policies and their optimizer.
    choice: Q_H and V_H.
    """

    clusters: clustering.State
    label: Array
    critic: value_learners.Critic
    value: TrainState
    advantage_scale: Array
    policy: TrainState
    choice: choice_learner.Choice


class Parts(NamedTuple):
    """The learners, one for each part of the state."""

    clusterer: clustering.Clusterer
    critic: value_learners.SarsaLearner
    value: value_learners.ValueLearner
    policy: policy_learner.PolicyLearner
    choice: choice_learner.ChoiceLearner


def label(state: State, batch: Transition) -> Array:
    """The cluster of the trajectory of each row, `[B]`."""
    return state.label[batch.extras["episode"]]


def trajectories(batch: Transition) -> clustering.Trajectories:
    """The batch, or the dataset, as clustering takes it."""
    return clustering.Trajectories(
        batch.observation, batch.action, batch.extras["episode"]
    )
