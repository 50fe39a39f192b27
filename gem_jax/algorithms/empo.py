"""EMPO: cluster trajectories by EM, improve each behavior, choose among them.

Phases: cloning of K behaviors from random, even and EM-weighted assignments (Algorithm
1), SARSA Q and Monte-Carlo V of each, PPO against each (Algorithm 2), and IQL over
clusters. Acting: the cluster with the best Q_H among those that the
classifier deems in-distribution, then the mean of its policy. One cluster is plain PPO.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gem_jax import clustering, errors
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms import (
    _config,
    _empo_choice,
    _empo_phases,
    _empo_policy,
    _empo_values,
)
from gem_jax.algorithms._empo_state import Parts, State
from gem_jax.ops import normalize
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """EMPO's settings; defaults are those of the paper's Table 4 for D4RL.

    Attributes:
      num_steps: N_H, gradient steps of the high-level policy.
      batch_size: transitions a step.
      hidden_sizes: widths of every network; the paper's "4-layer" is read as three
        hidden ones.
      learning_rate: of Adam.
      discount: gamma.
      num_clusters: K.
      biased_epochs: N_b, passes on random assignments (heuristic III).
      uniform_epochs: N_p, passes on even assignments (heuristic II).
      em_epochs: N_E.
      momentum: mu of the posterior (heuristic I).
      log_std_min: lower bound of the policies' log-scales.
      log_std_max: upper bound.
      critic_steps: N_Q.
      target_period: n_Q, steps between updates of the target of Q.
      polyak: tau_Q, rate of these updates.
      value_epochs: N_V.
      bootstrap_tail: a trajectory that was cut off ends with Q of its last step instead
        of that step's reward, so that V is not too low before a time limit. The paper
        counts the rewards seen (erratum 5).
      improve_epochs: N_pi; with full batches as many optimizer steps.
      clip: epsilon of PPO. The paper gives none; this is BPPO's.
      full_batch: one PPO step on the gradient of the whole data set, as in the paper;
        otherwise minibatches of ``batch_size``.
      chunk_size: transitions at a time when that gradient is added up.
      standardize_advantage: by mean and deviation over the data. The paper does not.
      n_step: rewards in a target of Q_H.
      expectile: tau of V_H.
      choice_target_period: n_H, steps between copies of Q_H.
      support_ratio: b of ID(s); 1 leaves the classifier's choice alone.
      normalize_observations: by the dataset's mean and standard deviation.
    """

    num_steps: int = 1_000_000
    batch_size: int = 256
    hidden_sizes: tuple[int, ...] = (256, 256, 256)
    learning_rate: float = 3e-4
    discount: float = 0.99
    num_clusters: int = 2
    biased_epochs: int = 3
    uniform_epochs: int = 20
    em_epochs: int = 100
    momentum: float = 0.9
    log_std_min: float = -5.0
    log_std_max: float = 0.0
    critic_steps: int = 1_500_000
    target_period: int = 2
    polyak: float = 0.005
    value_epochs: int = 40
    bootstrap_tail: bool = False
    improve_epochs: int = 100
    clip: float = 0.25
    full_batch: bool = True
    chunk_size: int = 8192
    standardize_advantage: bool = False
    n_step: int = 3
    expectile: float = 0.7
    choice_target_period: int = 500
    support_ratio: float = 5.0
    normalize_observations: bool = True

    def __post_init__(self) -> None:
        _config.widths(self, "hidden_sizes")
        _config.ordered(self, "log_std_min", "log_std_max")
        _config.positive(self, "num_steps", "batch_size", "learning_rate")
        _config.positive(self, "num_clusters", "em_epochs", "critic_steps")
        _config.positive(self, "target_period", "value_epochs", "improve_epochs")
        _config.positive(self, "clip", "chunk_size", "n_step", "choice_target_period")
        _config.not_negative(self, "biased_epochs", "uniform_epochs")
        _config.fraction(self, "discount", "expectile", "polyak")
        if not self.support_ratio >= 1.0:  # erratum 6: else ID(s) could be empty
            raise ValueError(
                f"support_ratio must be at least 1, got {self.support_ratio!r}"
            )
        self.clustering()

    def clustering(self) -> clustering.Settings:
        """The settings of the first phases."""
        names = (field.name for field in dataclasses.fields(clustering.Settings))
        return clustering.Settings(**{name: getattr(self, name) for name in names})


class ActorParams(NamedTuple):
    """What acting reads."""

    normalizer: normalize.Normalizer
    policy: Params
    classifier: Params
    choice: Params


def make(config: Config, spec: EnvSpec) -> Algorithm:
    """Binds the settings to the sizes of an environment and of its data.

    Raises:
      ValueError: ``spec`` does not tell the size of the data.
    """
    if spec.num_transitions < 1 or spec.num_episodes < 1:
        raise ValueError("EMPO needs num_transitions and num_episodes of the data")
    parts = _make_parts(config, spec)

    def init(key: PRNGKey) -> State:
        keys = jax.random.split(key, 4)
        clusters = parts.clusterer.init(keys[0])
        return State(
            step=jnp.zeros((), jnp.int32),
            normalizer=normalize.identity_normalizer(spec.observation_size),
            clusters=clusters,
            label=jnp.zeros(spec.num_episodes, jnp.int32),
            critic=parts.critic.init(keys[1]),
            value=parts.value.init(keys[2]),
            advantage_scale=jnp.array([0.0, 1.0]),
            policy=parts.policy.start(clusters.policies.params),
            choice=parts.choice.init(keys[3]),
        )

    def actor_params(state: State) -> ActorParams:
        return ActorParams(
            normalizer=state.normalizer,
            policy=state.policy.params,
            classifier=state.clusters.classifier.params,
            choice=state.choice.q.params,
        )

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput:
        del key, t, knobs
        observation = params.normalizer(observation)
        means = parts.clusterer.policy(params.policy, observation).mean  # [K, A]
        cluster = _empo_choice.best_in_distribution(
            parts.choice.q_values(params.choice, observation),
            parts.clusterer.classify(params.classifier, observation),
            config.support_ratio,
        )
        audit = {"cluster": cluster.astype(jnp.float32)}
        return ActOutput(jnp.clip(means[cluster], -1.0, 1.0), audit)

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        if config.num_clusters == 1:
            log("note: with one cluster nothing is chosen; num_steps has no effect")
        episode = np.asarray(dataset.extras["episode"])
        followed = np.any(np.diff(episode) == 0)
        if not followed and not np.any(dataset.terminal):
            raise errors.UserError(
                "no step is followed by another or ends its episode as a terminal, so "
                "there is nothing to learn values from; are the episodes' ends right?"
            )
        clustering.check(
            np.asarray(dataset.observation),
            np.asarray(dataset.action),
            episode,
            config.num_clusters,
            log,
        )

    phases = _empo_phases.make_phases(config, spec, parts)
    return Algorithm(init, phases, actor_params, act, check=check)


def _make_parts(config: Config, spec: EnvSpec) -> Parts:
    """The learners, all with Adam at the same rate."""
    adam = optax.adam(config.learning_rate)
    shared: dict[str, Any] = dict(
        hidden_sizes=config.hidden_sizes, num_clusters=config.num_clusters
    )
    clusterer = clustering.make(
        config.clustering(), spec.observation_size, spec.action_size, spec.num_episodes
    )
    size = spec.num_transitions if config.full_batch else config.batch_size
    return Parts(
        clusterer=clusterer,
        critic=_empo_values.make_sarsa_learner(
            spec,
            adam,
            discount=config.discount,
            polyak=config.polyak,
            target_period=config.target_period,
            **shared,
        ),
        value=_empo_values.make_value_learner(spec, adam, **shared),
        policy=_empo_policy.make_policy_learner(
            clusterer.policy,
            config.learning_rate,
            clip=config.clip,
            num_chunks=_empo_phases.num_chunks(config, spec),
            size=size,
        ),
        choice=_empo_choice.make_choice_learner(
            spec,
            adam,
            discount=config.discount,
            expectile=config.expectile,
            n_step=config.n_step,
            target_period=config.choice_target_period,
            **shared,
        ),
    )
