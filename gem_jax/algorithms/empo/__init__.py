"""EMPO: cluster trajectories by EM, improve each behavior, choose among them.

Phases: cloning of K behaviors from random, even and EM-weighted assignments (Algorithm
1), SARSA Q and Monte-Carlo V of each, PPO against each (Algorithm 2), and IQL over
clusters. Acting: the cluster with the best Q_H among those that the
classifier deems in-distribution, then the mean of its policy. One cluster is plain PPO.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gem_jax import clustering
from gem_jax.algorithm import Algorithm
from gem_jax.algorithms.empo import (
    choice_learner,
    policy_learner,
    value_learners,
)
from gem_jax.algorithms.empo.config import Config as Config
from gem_jax.algorithms.empo.phases import make_phases, num_chunks
from gem_jax.algorithms.empo.state import Parts, State
from gem_jax.learners import sarsa
from gem_jax.types import ActOutput, Array, EnvSpec, Params, PRNGKey, Transition

# Sizes for the contract test.
TINY: Mapping[str, Any] = dict(
    num_steps=6,
    batch_size=8,
    hidden_sizes=(16,),
    biased_epochs=1,
    uniform_epochs=1,
    em_epochs=2,
    critic_steps=6,
    value_epochs=1,
    improve_epochs=2,
    microbatch_size=16,
)


class ActorParams(NamedTuple):
    """What acting reads; ``occupied`` `[K]` tells which clusters have trajectories."""

    policy: Params
    classifier: Params
    choice: Params
    occupied: Array


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
            clusters=clusters,
            label=jnp.zeros(spec.num_episodes, jnp.int32),
            critic=parts.critic.init(keys[1]),
            value=parts.value.init(keys[2]),
            advantage_scale=jnp.array([0.0, 1.0], jnp.float32),
            policy=parts.policy.start(clusters.target_policies),
            choice=parts.choice.init(keys[3]),
        )

    def actor_params(state: State) -> ActorParams:
        return ActorParams(
            policy=state.policy.params,
            classifier=state.clusters.classifier.params,
            choice=state.choice.q.params,
            occupied=jnp.isin(jnp.arange(config.num_clusters), state.label),
        )

    def log_share(params: ActorParams, observation: Array) -> Array:
        """The classifier's log-probabilities `[K]`; none where nothing was learned."""
        log_prob = parts.clusterer.classify(params.classifier, observation)
        return jnp.where(params.occupied, log_prob, -jnp.inf)

    def act(
        params: ActorParams, key: PRNGKey, observation: Array, t: Array, knobs: Any
    ) -> ActOutput:
        del key, t, knobs
        means = parts.clusterer.policy(params.policy, observation).mean  # [K, A]
        cluster = choice_learner.best_in_distribution(
            parts.choice.apply(params.choice, observation),
            log_share(params, observation),
            config.support_ratio,
        )
        audit = {"cluster": cluster.astype(jnp.float32)}
        return ActOutput(jnp.clip(means[cluster], -1.0, 1.0), audit)

    def propose(
        params: ActorParams, key: PRNGKey, observation: Array, n: int, knobs: Any
    ) -> Array:
        """Each from the improved policy of a cluster, any that ``act`` may choose."""
        del knobs
        cluster_key, noise_key = jax.random.split(key)
        policy = parts.clusterer.policy(params.policy, observation)  # K of them
        admitted = choice_learner.in_distribution(
            log_share(params, observation), config.support_ratio
        )
        logits = jnp.where(admitted, 0.0, -jnp.inf)
        cluster = jax.random.categorical(cluster_key, logits, shape=(n,))
        noise = jax.random.normal(noise_key, (n, spec.action_size), jnp.float32)
        return policy.mean[cluster] + jnp.exp(policy.log_std[cluster]) * noise

    def check(dataset: Transition, log: Callable[[str], None]) -> None:
        if config.num_clusters == 1:
            log("note: with one cluster nothing is chosen; num_steps has no effect")
        sarsa.require_targets(dataset)
        clustering.check(
            np.asarray(dataset.observation),
            np.asarray(dataset.action),
            np.asarray(dataset.extras["episode"]),
            config.num_clusters,
            log,
        )

    return Algorithm(
        spec,
        init,
        make_phases(config, spec, parts),
        actor_params,
        act,
        check=check,
        normalize_observations=config.normalize_observations,
        propose=propose,
    )


def _make_parts(config: Config, spec: EnvSpec) -> Parts:
    """The learners, all with Adam at one rate; the classifier's and Q_H's may fall."""
    adam = optax.adam(config.learning_rate)
    shared: dict[str, Any] = dict(
        hidden_sizes=config.hidden_sizes, num_clusters=config.num_clusters
    )
    clusterer = clustering.make(
        config,
        spec.observation_size,
        spec.action_size,
        spec.num_episodes,
        spec.num_transitions,
    )
    size = spec.num_transitions if config.full_batch else config.batch_size
    return Parts(
        clusterer=clusterer,
        critic=value_learners.make_sarsa_learner(
            spec,
            adam,
            discount=config.discount,
            polyak=config.polyak,
            target_period=config.target_period,
            **shared,
        ),
        value=value_learners.make_value_learner(spec, adam, **shared),
        policy=policy_learner.make_policy_learner(
            clusterer.policy,
            config.learning_rate,
            clip=config.clip,
            num_chunks=num_chunks(config, spec),
            size=size,
        ),
        choice=choice_learner.make_choice_learner(
            spec,
            config.optimizer(config.num_steps),
            discount=config.discount,
            expectile=config.expectile,
            n_step=config.n_step,
            target_period=config.choice_target_period,
            **shared,
        ),
    )
