"""The value of each mode of a behavior: LOM's hyper Q-function."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle, critic
from gem_jax.ops import mixture
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey


class ModeLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, key, observation `[B, O]`, behavior, q) to (state, Q_H `[B, M]`
      before the step, metrics `[B]`); q takes one state `[O]` and actions `[M, A]` to
      values `[M]`.
    apply: (params, observation `[B, O]`) to Q_H `[B, M]`.
    """

    init: Callable[[PRNGKey], TrainState]
    update: Callable[..., tuple[TrainState, Array, PerTransition]]
    apply: Callable[[Params, Array], Array]


def make_mode_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_components: int,
) -> ModeLearner:
    """Regression of Q_H(s, u) on Q(s, a), a drawn from mode u, for every u.

    Its mean over a is the value of the behavior that acts by mode u once (LOM, section
    4.3). The network takes the state and which mode it is.
    """
    network = bundle.from_module(critic.Critic(hidden_sizes))
    which = jnp.eye(num_components, dtype=jnp.float32)

    def init(key: PRNGKey) -> TrainState:
        params = network.init(key, jnp.zeros(spec.observation_size), which[0])
        return train_state.create(params, optimizer)

    def apply(params: Params, observation: Array) -> Array:
        return jax.vmap(lambda one: network.apply(params, one, which))(observation)

    def loss(params: Params, observation: Array, target: Array):
        q = apply(params, observation)
        squares = (q - target) ** 2
        return jnp.mean(squares), (q, jnp.mean(squares, axis=-1))

    def update(
        state: TrainState,
        key: PRNGKey,
        observation: Array,
        behavior: mixture.Mixture,
        q_fn: Callable[[Array, Array], Array],
    ) -> tuple[TrainState, Array, PerTransition]:
        shape = behavior.means.shape
        noise = jax.random.normal(key, shape, jnp.float32)
        action = behavior.means + jnp.exp(behavior.log_stds) * noise  # [B, M, A]
        target = jax.vmap(q_fn)(observation, jnp.clip(action, -1.0, 1.0))
        grads, (q, losses) = jax.grad(loss, has_aux=True)(
            state.params, observation, target
        )
        new_state = train_state.apply_gradients(state, grads, optimizer)
        return new_state, q, _metrics(q, losses, behavior)

    return ModeLearner(init, update, apply)


def _metrics(q: Array, losses: Array, behavior: mixture.Mixture) -> PerTransition:
    """What the values say: of the best mode, of each, and how often each is chosen."""
    share = jax.nn.softmax(behavior.logits, axis=-1)
    chosen = jax.nn.one_hot(jnp.argmax(q, axis=-1), q.shape[-1], dtype=q.dtype)
    metrics = {
        "modes/loss": losses,
        "modes/q": jnp.sum(share * q, axis=-1),
        "modes/best_q": jnp.max(q, axis=-1),
        "modes/chosen_share": jnp.sum(share * chosen, axis=-1),
    }
    for u in range(q.shape[-1]):
        metrics[f"modes/q_{u}"] = q[:, u]
        metrics[f"modes/chosen_{u}"] = chosen[:, u]
    return metrics
