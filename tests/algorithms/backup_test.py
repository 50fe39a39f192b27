"""GEM's critic with targets of the best of some samples."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import train_state
from gem_jax.algorithms import gem
from gem_jax.algorithms.gem import state as gem_state
from gem_jax.algorithms.gem import updates
from gem_jax.testing import fakes

CONFIG = gem.Config(
    hidden_sizes=(8, 8), num_critics=3, num_components=2, backup="select"
)


def values(key, config, batch):
    """What selection makes of s' by a state whose target critics have fallen behind.

    Of it the second; before it the learners, after it the state and the target critics
    that an update moves to.
    """
    parts = gem_state.make_parts(config, fakes.SPEC)

    @jax.jit
    def run(key, observation):
        state = gem.make(config, fakes.SPEC).init(key)
        behind = jax.tree.map(lambda leaf: 0.5 * leaf, state.values.target_critic)
        learned = dataclasses.replace(state.values, target_critic=behind)
        state = dataclasses.replace(state, values=learned)
        moved = train_state.polyak(behind, state.values.critic.params, config.polyak)
        found = updates.selected_value(
            *(parts, state.behavior.params, key, observation),
            *(config.backup_candidates, moved),
        )
        return found, state, moved

    return parts, *run(key, batch.next_observation)


def test_one_sample_without_noise_is_worth_the_least_critic(key):
    narrow = dict(behavior_log_std_min=-20.0, behavior_log_std_max=-19.0)
    config = dataclasses.replace(
        CONFIG, backup_candidates=1, behavior_components=1, **narrow
    )
    batch = fakes.random_transitions(key, 6)
    parts, found, state, moved = values(key, config, batch)

    @jax.jit
    def q_of_means(params, critic, observation):
        means = parts.behavior.apply(params, observation).means
        return parts.values.apply(critic, observation, means[:, 0])

    q = q_of_means(state.behavior.params, moved, batch.next_observation)
    np.testing.assert_allclose(found, np.min(q, axis=0), rtol=1e-4, atol=1e-6)


def test_more_samples_are_worth_more(key):
    batch = fakes.random_transitions(key, 64)
    few, many = (
        np.mean(values(key, dataclasses.replace(CONFIG, backup_candidates=n), batch)[1])
        for n in (1, 32)
    )
    assert many > few + 1e-3


def test_targets_are_made_of_it_and_not_of_v(key):
    batch = fakes.random_transitions(key, 16)
    parts, expected, state, _ = values(key, CONFIG, batch)
    target = batch.reward + 0.99 * (1.0 - batch.terminal) * expected
    q = jax.jit(parts.values.apply)(
        state.values.critic.params, batch.observation, batch.action
    )
    loss = np.mean((np.float64(q) - np.float64(target)) ** 2)
    update = jax.jit(gem.make(CONFIG, fakes.SPEC).phases[-1].update)
    _, metrics = update(state, key, batch, jnp.int32(0))
    np.testing.assert_allclose(metrics["critic/loss"], loss, rtol=1e-4)


def test_own_targets_are_refused():
    with pytest.raises(ValueError, match="backup=select gives all critics one target"):
        dataclasses.replace(CONFIG, critic_targets="own")
