"""A mixture policy under weighted maximum likelihood, of GEM, IQL, AWAC and LOM."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.learners.batch_metrics import PerTransition
from gem_jax.networks import bundle
from gem_jax.networks.mixture import MixtureNetwork
from gem_jax.ops import mixture
from gem_jax.train_state import TrainState
from gem_jax.types import Array, EnvSpec, Params, PRNGKey, Transition


class MixtureLearner(NamedTuple):
    """Attributes:
    init: key to state.
    update: (state, batch, weight `[B]`) to (state, metrics `[B]` ``loss``,
      ``nll`` and ``gating_entropy``); the weights get no gradient.
    apply: (params, observation `[..., O]`) to a mixture.
    """

    init: Callable[[PRNGKey], TrainState]
    update: Callable[[TrainState, Transition, Array], tuple[TrainState, PerTransition]]
    apply: Callable[[Params, Array], mixture.Mixture]


def make_mixture_learner(
    spec: EnvSpec,
    optimizer: optax.GradientTransformation,
    *,
    hidden_sizes: tuple[int, ...],
    num_components: int,
    log_std_min: float,
    log_std_max: float,
    state_dependent_scales: bool = False,
    gating_entropy: float = 0.0,
    detach_responsibilities: bool = True,
) -> MixtureLearner:
    """The M-step as gradient descent on the weighted loose ELBO (GEM Eq. 44).

    With weights of one, no entropy bonus and detached responsibilities, the gradient is
    that of the negative log-likelihood (Eq. 37, 54). With one component the loss is the
    weighted negative log-likelihood itself. Observations come in normalized.
    """
    network = bundle.from_module(
        MixtureNetwork(
            hidden_sizes,
            num_components,
            spec.action_size,
            log_std_min,
            log_std_max,
            state_dependent_scales,
        )
    )

    def init(key: PRNGKey) -> TrainState:
        params = network.init(key, jnp.zeros(spec.observation_size))
        return train_state.create(params, optimizer)

    def loss(params: Params, batch: Transition, weight: Array):
        policy = network.apply(params, batch.observation)
        surrogate = mixture.loose_elbo(
            policy, batch.action, detach=detach_responsibilities
        )
        entropy = mixture.gating_entropy(policy)
        losses = -weight * surrogate - gating_entropy * entropy  # Eq. 44
        nll = -mixture.log_prob(policy, batch.action)
        per_transition = {"loss": losses, "nll": nll, "gating_entropy": entropy}
        return jnp.mean(losses), per_transition

    def update(
        state: TrainState, batch: Transition, weight: Array
    ) -> tuple[TrainState, PerTransition]:
        chex.assert_equal_shape([weight, batch.reward])
        grads, per_transition = jax.grad(loss, has_aux=True)(
            state.params, batch, jax.lax.stop_gradient(weight)
        )
        return train_state.apply_gradients(state, grads, optimizer), per_transition

    return MixtureLearner(init, update, network.apply)
