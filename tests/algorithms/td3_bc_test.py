"""TD3+BC: its losses by hand, and when its actor moves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms
from gem_jax.algorithms import td3_bc
from gem_jax.networks import bundle, critic, deterministic
from gem_jax.testing import fakes

SMALL = td3_bc.Config(num_steps=4, batch_size=8, hidden_sizes=(8, 8), policy_noise=0.0)


def apply_fns():
    policy = bundle.from_module(deterministic.DeterministicPolicy((8, 8), 2))
    critics = bundle.ensemble(bundle.from_module(critic.Critic((8, 8))), 2)
    return policy.apply, critics.apply


def test_losses_by_hand(key):
    algorithm = algorithms.make("td3_bc", SMALL, fakes.SPEC)
    state, batch = algorithm.init(key), fakes.random_transitions(key, 8)
    new, metrics = jax.jit(algorithm.phases[0].update)(state, key, batch, 0)
    act, q = apply_fns()
    next_action = act(state.target_actor, batch.next_observation)
    next_q = q(state.target_critic, batch.next_observation, next_action).min(0)
    target = batch.reward + 0.99 * (1.0 - batch.terminal) * next_q
    online = q(state.critic.params, batch.observation, batch.action)
    expected = np.mean((np.asarray(online) - np.asarray(target)[None]) ** 2)
    np.testing.assert_allclose(metrics["critic/loss"], expected, rtol=1e-5)
    action = act(state.actor.params, batch.observation)
    q_pi = np.asarray(q(new.critic.params, batch.observation, action)[0])
    cloning = np.mean((np.asarray(action) - np.asarray(batch.action)) ** 2)
    expected = cloning - 2.5 * q_pi.mean() / np.abs(q_pi).mean()
    np.testing.assert_allclose(metrics["actor/loss"], expected, rtol=1e-5)


def test_actor_and_targets_move_every_other_step(key):
    algorithm = algorithms.make("td3_bc", SMALL, fakes.SPEC)
    state, batch = algorithm.init(key), fakes.random_transitions(key, 8)
    moved = []
    for step in range(4):
        new, _ = jax.jit(algorithm.phases[0].update)(state, key, batch, step)
        moved.append(
            [
                not np.array_equal(before, after)
                for before, after in zip(
                    map(first_leaf, (state.actor, state.target_critic, state.critic)),
                    map(first_leaf, (new.actor, new.target_critic, new.critic)),
                    strict=True,
                )
            ]
        )
        state = new
    assert moved == [[True, True, True], [False, False, True]] * 2


def first_leaf(tree):
    return max(jax.tree.leaves(tree), key=lambda leaf: leaf.size)


def test_target_noise_is_clipped(key):
    """Noise of a million, clipped, is its sign times the bound."""
    loud = dataclasses.replace(SMALL, policy_noise=1e6, noise_clip=0.25)
    algorithm = algorithms.make("td3_bc", loud, fakes.SPEC)
    state, batch = algorithm.init(key), fakes.random_transitions(key, 8)
    _, metrics = jax.jit(algorithm.phases[0].update)(state, key, batch, 0)
    act, q = apply_fns()
    noise = 0.25 * np.sign(jax.random.normal(key, batch.action.shape))
    action = jnp.clip(act(state.target_actor, batch.next_observation) + noise, -1, 1)
    next_q = q(state.target_critic, batch.next_observation, action).min(0)
    target = np.asarray(batch.reward + 0.99 * (1.0 - batch.terminal) * next_q)
    online = np.asarray(q(state.critic.params, batch.observation, batch.action))
    expected = np.mean((online - target[None]) ** 2)
    np.testing.assert_allclose(metrics["critic/loss"], expected, rtol=1e-5)


@pytest.mark.parametrize("field", ["alpha", "noise_clip"])
def test_bad_settings_name_the_field(field):
    with pytest.raises(ValueError, match=field):
        td3_bc.Config(**{field: -1.0})
