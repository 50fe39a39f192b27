"""Trajectory EM with K neural policies (EMPO, Algorithm 1), as pure functions.

Each trajectory is taken to be the work of one of K policies. The E-step weighs the
policies by the likelihood of all its actions, the M-step clones each policy from the
trajectories in proportion to these weights. Symbols follow the paper: Q(z|tau) is the
posterior, mu its momentum, N_b, N_p and N_E the epochs of the three stages.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import train_state
from gem_jax.clustering import classifier, likelihood
from gem_jax.clustering.likelihood import Trajectories
from gem_jax.clustering.settings import Settings
from gem_jax.networks import bundle, gaussian
from gem_jax.ops import gaussian as gaussian_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Metrics, Params, PRNGKey


@flax.struct.dataclass
class State:
    """Attributes:
    policies: beta(a|s; theta_z) under training, leading axis `K` on every leaf.
    target_policies: moving average of their parameters: the behaviors found.
    classifier: q(z|s).
    posterior: `[J, K]` the Q(z|tau) that the M-step uses.
    num_e_steps: `[]` int32, how many there were; places the next one's window.
    """

    policies: TrainState
    target_policies: Params
    classifier: TrainState
    posterior: Array
    num_e_steps: Array


class Clusterer(NamedTuple):
    """Attributes:
    init: key to state, with an even posterior.
    bias: (state, key) to a state with a random assignment (heuristic III).
    even: state to a state with an even posterior (heuristic II).
    e_step: (state, data) to a state with momentum applied to the posterior.
    m_step: (state, batch) to (state, metrics): one gradient step of the policies.
    classify_step: (state, batch) to (state, metrics): one of the classifier.
    responsibilities: (policy params, data) to `[J, K]`, Q(z|tau) without momentum, of
      all steps.
    policy: (policy params, observation `[..., O]`) to Gaussians `[K, ..., A]`.
    classify: (classifier params, observation `[..., O]`) to log q(z|s) `[..., K]`.
    """

    init: Callable[[PRNGKey], State]
    bias: Callable[[State, PRNGKey], State]
    even: Callable[[State], State]
    e_step: Callable[[State, Trajectories], State]
    m_step: Callable[[State, Trajectories], tuple[State, Metrics]]
    classify_step: Callable[[State, Trajectories], tuple[State, Metrics]]
    responsibilities: Callable[[Params, Trajectories], Array]
    policy: Callable[[Params, Array], gaussian_ops.Gaussian]
    classify: Callable[[Params, Array], Array]


def make(
    settings: Settings,
    observation_size: int,
    action_size: int,
    num_trajectories: int,
    num_transitions: int,
) -> Clusterer:
    """Binds the settings to the sizes of the data.

    Args:
      settings: which heuristics, how long, how large.
      observation_size: O.
      action_size: A.
      num_trajectories: J.
      num_transitions: D; sets how long the classifier's rate takes to fall.
    """
    member = gaussian.GaussianNetwork(
        settings.hidden_sizes, action_size, settings.log_std_min, settings.log_std_max
    )
    num_clusters = settings.num_clusters
    shape = (num_trajectories, num_clusters)
    policies = gaussian.ensemble(bundle.from_module(member), num_clusters)
    optimizer = optax.adam(settings.learning_rate)
    labeler = classifier.make_classifier(
        observation_size,
        num_clusters,
        settings.hidden_sizes,
        settings.optimizer(
            settings.em_epochs * settings.steps_per_epoch(num_transitions)
        ),
    )

    def init(key: PRNGKey) -> State:
        policy_key, classifier_key = jax.random.split(key)
        params = policies.init(policy_key, jnp.zeros(observation_size))
        return State(
            policies=train_state.create(params, optimizer),
            target_policies=jax.tree.map(jnp.copy, params),  # a buffer is donated once
            classifier=labeler.init(classifier_key),
            posterior=jnp.full(shape, 1.0 / num_clusters, jnp.float32),
            num_e_steps=jnp.zeros((), jnp.int32),
        )

    def log_prob(params: Params, observation: Array, action: Array) -> Array:
        policy = policies.apply(params, observation)
        copies = jnp.broadcast_to(action, policy.mean.shape)
        return gaussian_ops.log_prob(policy, copies)

    def posterior(
        params: Params, data: Trajectories, steps: likelihood.Steps | None
    ) -> Array:
        def density(observation: Array, action: Array) -> Array:
            return log_prob(params, observation, action)

        sums = likelihood.log_likelihoods(density, data, *shape, steps=steps)
        return jax.nn.softmax(sums, axis=-1)  # subtracts the maximum first

    def responsibilities(params: Params, data: Trajectories) -> Array:
        return posterior(params, data, None)

    def e_step(state: State, data: Trajectories) -> State:
        turn = state.num_e_steps
        spread = (turn < settings.window_start) | (turn >= settings.window_stop)
        steps = likelihood.some_steps(
            *(data.episode, num_trajectories, settings.posterior_window),
            *(turn, spread),
        )
        fresh = posterior(state.target_policies, data, steps)
        chex.assert_equal_shape([state.posterior, fresh])
        mu = settings.momentum
        return dataclasses.replace(
            state,
            posterior=mu * state.posterior + (1.0 - mu) * fresh,
            num_e_steps=state.num_e_steps + 1,
        )

    def loss(params: Params, batch: Trajectories, weight: Array) -> Array:
        log_probs = log_prob(params, batch.observation, batch.action)  # [K, B]
        return -jnp.mean(jnp.sum(weight.T * log_probs, axis=0))

    def m_step(state: State, batch: Trajectories) -> tuple[State, Metrics]:
        chex.assert_equal_shape_prefix(list(batch), 1)
        weight = state.posterior[batch.episode]
        params = state.policies.params
        nll, grads = jax.value_and_grad(loss)(params, batch, weight)
        new = train_state.apply_gradients(state.policies, grads, optimizer)
        target = train_state.polyak(
            state.target_policies, new.params, settings.averaging_rate
        )
        uncertainty = jnp.mean(classifier.entropy(weight))
        metrics = {"policies/nll": nll, "policies/posterior_entropy": uncertainty}
        return dataclasses.replace(state, policies=new, target_policies=target), metrics

    def classify_step(state: State, batch: Trajectories) -> tuple[State, Metrics]:
        new, metrics = labeler.step(
            state.classifier, batch.observation, state.posterior[batch.episode]
        )
        return dataclasses.replace(state, classifier=new), metrics

    return Clusterer(
        init=init,
        bias=_assign_at_random,
        even=_assign_evenly,
        e_step=e_step,
        m_step=m_step,
        classify_step=classify_step,
        responsibilities=responsibilities,
        policy=policies.apply,
        classify=labeler.log_prob,
    )


def _assign_at_random(state: State, key: PRNGKey) -> State:
    count, num_clusters = state.posterior.shape
    drawn = jax.random.randint(key, (count,), 0, num_clusters, jnp.int32)
    posterior = jax.nn.one_hot(drawn, num_clusters, dtype=jnp.float32)
    return dataclasses.replace(state, posterior=posterior)


def _assign_evenly(state: State) -> State:
    even = jnp.full_like(state.posterior, 1.0 / state.posterior.shape[1])
    return dataclasses.replace(state, posterior=even)
