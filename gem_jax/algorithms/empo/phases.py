"""EMPO's phases, in the order in which they run."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from gem_jax import clustering, sampling
from gem_jax.algorithm import Phase
from gem_jax.algorithms.empo import policy_learner, value_learners
from gem_jax.algorithms.empo import state as empo_state
from gem_jax.algorithms.empo.config import Config
from gem_jax.algorithms.empo.state import Parts, State
from gem_jax.learners import sarsa
from gem_jax.types import Array, EnvSpec, PRNGKey, Transition

_STATISTICS_ROWS = 65_536  # from which the advantage's mean and deviation are taken


def make_phases(config: Config, spec: EnvSpec, parts: Parts) -> tuple[Phase, ...]:
    """Clustering (Algorithm 1), values and improvement (Algorithm 2), choice."""
    phases = [
        *_clustering_phases(config, spec, parts.clusterer),
        _critic_phase(config, parts),
        _value_phase(config, spec, parts),
        _improvement_phase(config, spec, parts),
    ]
    if config.num_clusters > 1:  # with one there is nothing to choose
        phases.append(_choice_phase(config, parts))
    return tuple(phases)


def num_chunks(config: Config, spec: EnvSpec) -> int:
    """Batches whose gradients make one PPO step."""
    if not config.full_batch:
        return 1
    return sampling.num_batches(spec.num_transitions, config.microbatch_size)


def _epoch(config: Config, spec: EnvSpec) -> int:
    """Steps of a pass of minibatches, drawn at random, for values and policies."""
    return sampling.num_batches(spec.num_transitions, config.batch_size)


def _clustering_phases(
    config: Config, spec: EnvSpec, clusterer: clustering.Clusterer
) -> list[Phase]:
    """Biased start, even pretraining, EM; stages of no epochs are left out."""
    epoch = config.steps_per_epoch(spec.num_transitions)

    def bias(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        del dataset, step
        return dataclasses.replace(state, clusters=clusterer.bias(state.clusters, key))

    def even(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        del key, dataset, step
        return dataclasses.replace(state, clusters=clusterer.even(state.clusters))

    def e_step(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        del key
        before = jnp.where(
            step == 0,  # Q^(0) is even, whatever came before
            clusterer.even(state.clusters).posterior,
            state.clusters.posterior,
        )
        clusters = clusterer.e_step(
            dataclasses.replace(state.clusters, posterior=before),
            empo_state.trajectories(dataset),
        )
        return dataclasses.replace(state, clusters=clusters)

    def clone(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        steps = empo_state.trajectories(batch)
        clusters, metrics = clusterer.m_step(state.clusters, steps)
        return dataclasses.replace(state, clusters=clusters), metrics

    def clone_and_classify(state: State, key: PRNGKey, batch: Transition, step: Array):
        state, metrics = clone(state, key, batch, step)
        steps = empo_state.trajectories(batch)
        clusters, more = clusterer.classify_step(state.clusters, steps)
        return dataclasses.replace(state, clusters=clusters), {**metrics, **more}

    stages = [
        ("biased", config.biased_epochs, clone, bias, 0),
        ("uniform", config.uniform_epochs, clone, even, 0),
        ("em", config.em_epochs, clone_and_classify, e_step, epoch),
    ]
    return [
        Phase(
            name,
            epochs * epoch,
            config.batch_size,
            update,
            refresh=refresh,
            refresh_every=every or epochs * epoch,
        )
        for name, epochs, update, refresh, every in stages
        if epochs
    ]


def _critic_phase(config: Config, parts: Parts) -> Phase:
    def assign(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        """A(tau) by the posterior of the final behaviors, without momentum."""
        del key, step
        posterior = parts.clusterer.responsibilities(
            state.clusters.target_policies, empo_state.trajectories(dataset)
        )
        label = jnp.argmax(posterior, axis=-1).astype(jnp.int32)
        return dataclasses.replace(state, label=label)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key
        critic, metrics = parts.critic.update(
            state.critic, batch, empo_state.label(state, batch), step
        )
        return dataclasses.replace(state, critic=critic), metrics

    steps = config.critic_steps
    prepare = sarsa.next_actions
    return Phase("critic", steps, config.batch_size, update, prepare, assign, steps)


def _value_phase(config: Config, spec: EnvSpec, parts: Parts) -> Phase:
    def tail_value(state: State, batch: Transition) -> Array:
        """Q there; its target knows what follows from like states inside others."""
        return parts.critic.apply(
            state.critic.q.params,
            batch.observation,
            batch.action,
            empo_state.label(state, batch),
        )

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key, step
        value, metrics = parts.value.update(
            state.value, batch, empo_state.label(state, batch)
        )
        return dataclasses.replace(state, value=value), metrics

    steps = config.value_epochs * _epoch(config, spec)
    prepare = value_learners.discounted_returns(
        config.discount,
        spec.num_episodes,
        tail_value if config.bootstrap_tail else None,
    )
    return Phase("value", steps, config.batch_size, update, prepare)


def _improvement_phase(config: Config, spec: EnvSpec, parts: Parts) -> Phase:
    def advantage(
        state: State, observation: Array, action: Array, label: Array
    ) -> Array:
        """A = Q(s, a) - V(s) of the row's cluster."""
        q = parts.critic.apply(state.critic.q.params, observation, action, label)
        raw = q - parts.value.apply(state.value.params, observation, label)
        mean, deviation = state.advantage_scale
        return (raw - mean) / deviation

    def start(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        """From the cloned behaviors."""
        del step
        state = dataclasses.replace(
            state, policy=parts.policy.start(state.clusters.target_policies)
        )
        if not config.standardize_advantage:
            return state
        row_key, action_key = jax.random.split(key)
        batch = sampling.uniform(row_key, dataset, _STATISTICS_ROWS, 0)
        label = empo_state.label(state, batch)
        behavior = parts.clusterer.policy(state.policy.params, batch.observation)
        _, gain = policy_learner.propose(
            action_key,
            policy_learner.own(behavior, label),
            lambda action: advantage(state, batch.observation, action, label),
        )
        scale = jnp.stack([jnp.mean(gain), jnp.maximum(jnp.std(gain), 1e-6)])
        return dataclasses.replace(state, advantage_scale=scale)

    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del step
        policy, metrics = parts.policy.update(
            state.policy,
            key,
            state.clusters.target_policies,
            batch.observation,
            empo_state.label(state, batch),
            batch.extras.get("weight", jnp.ones_like(batch.reward)),
            lambda *inputs: advantage(state, *inputs),
        )
        return dataclasses.replace(state, policy=policy), metrics

    pass_steps = num_chunks(config, spec)
    batch_size, sample = config.microbatch_size, sampling.in_order
    if not config.full_batch:
        pass_steps = _epoch(config, spec)
        batch_size, sample = config.batch_size, sampling.uniform
    steps = config.improve_epochs * pass_steps
    return Phase(
        "improve",
        steps,
        batch_size,
        update,
        refresh=start,
        refresh_every=steps,
        sample=sample,
    )


def _choice_phase(config: Config, parts: Parts) -> Phase:
    def update(state: State, key: PRNGKey, batch: Transition, step: Array):
        del key
        choice, metrics = parts.choice.update(
            state.choice, batch, empo_state.label(state, batch), step
        )
        return dataclasses.replace(state, choice=choice), metrics

    steps, size = config.num_steps, config.batch_size
    return Phase("choose", steps, size, update, parts.choice.prepare)
