"""Trajectory EM with K neural policies (EMPO, Algorithm 1), as pure functions.

Each trajectory is taken to be the work of one of K policies. The E-step weighs the
policies by the likelihood of all its actions, the M-step clones each policy from the
trajectories in proportion to these weights. Symbols follow the paper: Q(z|tau) is the
posterior, mu its momentum, N_b, N_p and N_E the epochs of the three stages.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import NamedTuple

import chex
import flax.struct
import jax
import jax.numpy as jnp
import optax

from gem_jax import sampling, train_state
from gem_jax.clustering import classifier, likelihood
from gem_jax.clustering.likelihood import Trajectories
from gem_jax.networks import bundle, gaussian
from gem_jax.ops import gaussian as gaussian_ops
from gem_jax.train_state import TrainState
from gem_jax.types import Array, Metrics, Params, PRNGKey


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Attributes:
    num_clusters: K.
    hidden_sizes: widths of the policies and of the classifier.
    learning_rate: of Adam.
    averaging_rate: of the averaged policies, which E-steps and the final assignment
      look at, in (0, 1]; 1 is the policies themselves, as in the paper. The noise of
      the last gradients, added up over a trajectory, may outweigh what tells clusters
      apart.
    cosine_decay: whether the classifier's rate falls to 0 over the EM epochs, so that
      its last step's noise does not decide; in the paper it is constant.
    batch_size: steps a gradient.
    biased_epochs: N_b, on random assignments; 0 switches heuristic III off.
    uniform_epochs: N_p, on even ones; 0 switches heuristic II off.
    em_epochs: N_E.
    epoch_steps: gradients an epoch; 0 is a pass over the data, as in the paper. Fewer
      on large data leave the posterior more E-steps for the same number of gradients.
    posterior_window: steps of each trajectory that an E-step looks at, in a row, at a
      place that moves from one E-step to the next; 0 is all steps, as in the paper.
      They stand for the whole. With momentum the posterior becomes the mean over many
      places. The final assignment looks at all steps.
    background_epochs: E-steps, from the first on, in which the density of one more
      policy, cloned from all trajectories alike, stands in for lower ones: a cluster
      does not lose a trajectory by steps that it has not learned yet (in speaker
      recognition, a universal background model). 0 is without, as in the paper.
    momentum: mu of the posterior; 0 switches heuristic I off.
    log_std_min: lower bound of the policies' log-scales.
    log_std_max: upper bound.
    """

    num_clusters: int = 2
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    averaging_rate: float = 1.0
    cosine_decay: bool = False
    batch_size: int = 256
    biased_epochs: int = 3
    uniform_epochs: int = 20
    em_epochs: int = 100
    epoch_steps: int = 0
    posterior_window: int = 0
    background_epochs: int = 0
    momentum: float = 0.9
    log_std_min: float = -5.0
    log_std_max: float = 0.0

    def __post_init__(self) -> None:
        for name in ("num_clusters", "batch_size", "learning_rate"):
            if not 0 < getattr(self, name) < math.inf:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        for name in (
            *("biased_epochs", "uniform_epochs", "em_epochs", "epoch_steps"),
            *("posterior_window", "background_epochs"),
        ):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be >= 0, got {getattr(self, name)}")
        if not all(width > 0 for width in self.hidden_sizes):
            raise ValueError(f"hidden_sizes must be positive, got {self.hidden_sizes}")
        if not -math.inf < self.log_std_min < self.log_std_max < math.inf:
            raise ValueError(
                "log_std_min must be below log_std_max, both finite, got "
                f"{self.log_std_min} and {self.log_std_max}"
            )
        if not 0.0 < self.averaging_rate <= 1.0:
            raise ValueError(
                f"averaging_rate must be in (0, 1], got {self.averaging_rate}"
            )
        if not 0.0 <= self.momentum < 1.0:
            raise ValueError(f"momentum must be in [0, 1), got {self.momentum}")

    def steps_per_epoch(self, num_transitions: int) -> int:
        """Gradients an epoch on data of that size."""
        return self.epoch_steps or sampling.num_batches(
            num_transitions, self.batch_size
        )

    def optimizer(self, num_steps: int) -> optax.GradientTransformation:
        """Adam; with ``cosine_decay`` its rate falls to 0 over that many steps."""
        rate: float | optax.Schedule = self.learning_rate
        if self.cosine_decay:
            rate = optax.cosine_decay_schedule(self.learning_rate, max(num_steps, 1))
        return optax.adam(rate)


@flax.struct.dataclass
class State:
    """Attributes:
    policies: beta(a|s; theta_z) under training, leading axis `K` on every leaf, or
      `K + 1` with a background, which is the last.
    average: moving average of their parameters.
    classifier: q(z|s).
    posterior: `[J, K]` the Q(z|tau) that the M-step uses.
    num_e_steps: `[]` int32, how many there were; places the next one's window.
    """

    policies: TrainState
    average: Params
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
    behaviors: state to the policy params, leading axis `K`: the average, without a
      background.
    responsibilities: (policy params, data) to `[J, K]`, Q(z|tau) without momentum, of
      all steps.
    policy: (policy params, observation `[..., O]`) to Gaussians `[K, ..., A]`.
    classify: (classifier params, observation `[..., O]`) to log q(z|s) `[..., K]`.

    ``e_step`` and ``responsibilities`` take a ``transform`` of observations, applied
    chunk by chunk, so that a normalized copy of the data need not be kept.
    """

    init: Callable[[PRNGKey], State]
    bias: Callable[[State, PRNGKey], State]
    even: Callable[[State], State]
    e_step: Callable[..., State]
    m_step: Callable[[State, Trajectories], tuple[State, Metrics]]
    classify_step: Callable[[State, Trajectories], tuple[State, Metrics]]
    behaviors: Callable[[State], Params]
    responsibilities: Callable[..., Array]
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
    shape = (num_trajectories, settings.num_clusters)
    member = gaussian.GaussianNetwork(
        settings.hidden_sizes, action_size, settings.log_std_min, settings.log_std_max
    )
    num_clusters = settings.num_clusters
    has_background = settings.background_epochs > 0
    policies = gaussian.ensemble(
        bundle.from_module(member), num_clusters + has_background
    )
    optimizer = optax.adam(settings.learning_rate)
    labeler = classifier.make_classifier(
        observation_size,
        settings.num_clusters,
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
            average=jax.tree.map(jnp.copy, params),  # a buffer is donated once
            classifier=labeler.init(classifier_key),
            posterior=jnp.full(shape, 1.0 / shape[1], jnp.float32),
            num_e_steps=jnp.zeros((), jnp.int32),
        )

    def log_prob(params: Params, observation: Array, action: Array) -> Array:
        policy = policies.apply(params, observation)
        copies = jnp.broadcast_to(action, policy.mean.shape)
        return gaussian_ops.log_prob(policy, copies)

    def posterior(
        params: Params,
        data: Trajectories,
        transform: Callable,
        steps: likelihood.Steps | None,
        stand_in: Array | bool,
    ) -> Array:
        def density(observation: Array, action: Array) -> Array:
            value = log_prob(params, transform(observation), action)
            return _with_background(value, num_clusters, stand_in)

        sums = likelihood.log_likelihoods(density, data, *shape, steps=steps)
        return jax.nn.softmax(sums, axis=-1)  # subtracts the maximum first

    def responsibilities(
        params: Params, data: Trajectories, transform: Callable = _unchanged
    ) -> Array:
        return posterior(params, data, transform, None, False)

    def e_step(
        state: State, data: Trajectories, transform: Callable = _unchanged
    ) -> State:
        steps = likelihood.window(
            data.episode, shape[0], settings.posterior_window, state.num_e_steps
        )
        early = state.num_e_steps < settings.background_epochs
        fresh = posterior(state.average, data, transform, steps, early)
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
        common = jnp.ones((len(weight), int(has_background)))
        weights = jnp.concatenate([weight, common], axis=-1)
        nll, grads = jax.value_and_grad(loss)(params, batch, weights)
        new = train_state.apply_gradients(state.policies, grads, optimizer)
        average = train_state.polyak(state.average, new.params, settings.averaging_rate)
        uncertainty = jnp.mean(classifier.entropy(weight))
        metrics = {"policies/nll": nll, "policies/posterior_entropy": uncertainty}
        return dataclasses.replace(state, policies=new, average=average), metrics

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
        behaviors=functools.partial(_behaviors, num_clusters),
        responsibilities=responsibilities,
        policy=policies.apply,
        classify=labeler.log_prob,
    )


def _assign_at_random(state: State, key: PRNGKey) -> State:
    count, num_clusters = state.posterior.shape
    drawn = jax.random.randint(key, (count,), 0, num_clusters)
    return dataclasses.replace(state, posterior=jax.nn.one_hot(drawn, num_clusters))


def _assign_evenly(state: State) -> State:
    even = jnp.full_like(state.posterior, 1.0 / state.posterior.shape[1])
    return dataclasses.replace(state, posterior=even)


def _with_background(value: Array, num_clusters: int, stand_in: Array | bool) -> Array:
    """Log-densities of the clusters, and where asked the background's if higher."""
    own, common = value[:num_clusters], value[num_clusters:]
    if not len(common):
        return own
    return jnp.where(stand_in, jnp.maximum(own, common), own)


def _behaviors(num_clusters: int, state: State) -> Params:
    return jax.tree.map(lambda leaf: leaf[:num_clusters], state.average)


def _unchanged(observation: Array) -> Array:
    return observation
