"""Q of the behavior: targets take the action that the data take next (SARSA)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gem_jax import checks, errors
from gem_jax.learners import q_ensemble
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.learners.q_ensemble import QState
from gem_jax.ops import returns
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


class SarsaLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, key, batch, step) to (state, metrics `[B]`); the batch needs what
      ``next_actions`` attaches.
    lowest: (critic params, observation, action) to the least of the critics' values;
      pairs `[B]`, or one state and many actions `[C]`.
    """

    init: Callable[[PRNGKey], QState]
    update: Callable[[QState, PRNGKey, Transition, Array], tuple[QState, PerTransition]]
    lowest: Callable[[Params, Array, Array], Array]


def next_actions(
    state: Any, key: PRNGKey, dataset: Transition
) -> tuple[Any, Mapping[str, Array]]:
    """A ``prepare``: the action after each step, and 0 where there is neither a next
    action of the same trajectory nor a terminal that makes it needless."""
    del key
    cut = returns.last_steps(dataset.extras["episode"]) & (dataset.terminal == 0.0)
    return state, {
        "next_action": jnp.roll(dataset.action, -1, axis=0),
        "has_target": (~cut).astype(jnp.float32),
    }


def require_targets(dataset: Transition) -> None:
    """Refuses a dataset in which no step has a target.

    Raises:
      UserError: the trajectories are unknown, or have one step each, without terminals.
    """
    checks.has_trajectories("targets of the next action need", dataset)
    followed = np.any(np.diff(np.asarray(dataset.extras["episode"])) == 0)
    if not followed and not np.any(dataset.terminal):
        raise errors.UserError(
            "no step is followed by another or ends its episode as a terminal, so "
            "there is nothing to learn values from; are the episodes' ends right?"
        )


def make_sarsa_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_critics: int,
    discount: float,
    polyak: float,
    target_period: int,
    target_noise: float = 0.0,
    noise_clip: float = 0.0,
) -> SarsaLearner:
    """Regression on ``r + discount (1 - d) min_e Q_e(s', a')``.

    Args:
      spec: sizes of the environment.
      optimizer: of the critics.
      hidden_sizes: widths of each.
      num_critics: E.
      discount: of the return.
      polyak: rate of the target critics.
      target_period: steps between two moves of these.
      target_noise: standard deviation of noise on a', which smooths the target.
      noise_clip: bound of that noise.
    """
    learner = q_ensemble.make_q_learner(
        spec,
        optimizer,
        hidden_sizes=hidden_sizes,
        num_critics=num_critics,
        discount=discount,
    )

    def next_value(params: Params, key: PRNGKey, batch: Transition) -> Array:
        action = batch.extras["next_action"]
        noise = target_noise * jax.random.normal(key, action.shape, jnp.float32)
        action = action + jnp.clip(noise, -noise_clip, noise_clip)
        action = jnp.clip(action, -1.0, 1.0)
        return learner.lowest(params, batch.next_observation, action)

    def update(state: QState, key: PRNGKey, batch: Transition, step: Array):
        y = learner.target(batch, next_value(state.target_critic, key, batch))
        rate = jnp.where((step + 1) % target_period == 0, polyak, 0.0)
        return learner.update(state, batch, y, rate, batch.extras["has_target"])

    return SarsaLearner(learner.init, update, learner.lowest)
