"""Q of the behavior: targets take the action that the data take next (SARSA)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gem_jax import errors, train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle, critic
from gem_jax.ops import returns
from gem_jax.ops import value as value_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


@flax.struct.dataclass
class SarsaState:
    """Attributes:
    critic: E members, leading axis on every leaf.
    target_critic: their slow copy.
    """

    critic: TrainState
    target_critic: Params


class SarsaLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, key, batch, step) to (state, metrics `[B]`); the batch needs what
      ``next_actions`` attaches.
    apply: (critic params, observation, action) to Q `[E, ...]`; pairs, or one state and
      many actions.
    """

    init: Callable[[PRNGKey], SarsaState]
    update: Callable[
        [SarsaState, PRNGKey, Transition, Array], tuple[SarsaState, PerTransition]
    ]
    apply: Callable[[Params, Array, Array], Array]


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
    if "episode" not in dataset.extras:
        raise errors.UserError(
            'targets of the next action need dataset.extras["episode"], the trajectory '
            "of each step"
        )
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
    network = bundle.ensemble(
        bundle.from_module(critic.Critic(hidden_sizes)), num_critics
    )

    def init(key: PRNGKey) -> SarsaState:
        observation = jnp.zeros(spec.observation_size)
        params = network.init(key, observation, jnp.zeros(spec.action_size))
        copy = jax.tree.map(jnp.copy, params)
        return SarsaState(train_state.create(params, optimizer), copy)

    def target(params: Params, key: PRNGKey, batch: Transition) -> Array:
        action = batch.extras["next_action"]
        noise = target_noise * jax.random.normal(key, action.shape, jnp.float32)
        action = action + jnp.clip(noise, -noise_clip, noise_clip)
        action = jnp.clip(action, -1.0, 1.0)
        q = network.apply(params, batch.next_observation, action)
        next_value = jnp.min(q, axis=0)
        return value_ops.td_target(batch.reward, batch.terminal, next_value, discount)

    def loss(params: Params, batch: Transition, y: Array):
        q = network.apply(params, batch.observation, batch.action)
        squares = batch.extras["has_target"][None] * (q - y[None]) ** 2
        return jnp.mean(squares), (jnp.mean(squares, axis=0), jnp.mean(q, axis=0))

    def update(state: SarsaState, key: PRNGKey, batch: Transition, step: Array):
        y = target(state.target_critic, key, batch)
        grads, (losses, q) = jax.grad(loss, has_aux=True)(state.critic.params, batch, y)
        new_critic = train_state.apply_gradients(state.critic, grads, optimizer)
        rate = jnp.where((step + 1) % target_period == 0, polyak, 0.0)
        target_critic = train_state.polyak(state.target_critic, new_critic.params, rate)
        metrics = {"critic/loss": losses, "critic/q": q}
        return SarsaState(new_critic, target_critic), metrics

    return SarsaLearner(init, update, network.apply)
