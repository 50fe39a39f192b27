"""An ensemble whose members have targets of their own is several learners of one."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.algorithms import gem
from gem_jax.learners import expectile_value, q_ensemble
from gem_jax.testing import fakes

CONFIG = gem.Config(
    hidden_sizes=(8, 8), num_critics=3, learning_rate=0.01, num_candidates=1
)


def test_each_member_learns_as_if_it_were_alone(key):
    together = expectile_value.make_value_learner(CONFIG, fakes.SPEC, own_targets=True)
    single = dataclasses.replace(CONFIG, num_critics=1)
    alone = expectile_value.make_value_learner(single, fakes.SPEC)
    state = jax.device_get(together.init(key))
    # Adam's moments are zero, its counters have no members.
    members = [alone.init(key)] * 3
    for i, member in enumerate(members):
        own = jax.tree.map(lambda leaf, i=i: leaf[i], state.value.params)
        critic = jax.tree.map(lambda leaf, i=i: leaf[i : i + 1], state.critic.params)
        members[i] = dataclasses.replace(
            member,
            value=member.value._replace(params=own),
            critic=member.critic._replace(params=critic),
            target_critic=critic,
        )
    update, update_alone = jax.jit(together.update), jax.jit(alone.update)
    for step in range(3):
        batch = fakes.random_transitions(jax.random.key(step), 16)
        state, advantage, metrics = update(state, batch)
        advantages = []
        for i, member in enumerate(members):
            members[i], one, _ = update_alone(member, batch)
            advantages.append(one)
        # Adam does not see the 1 / 3 of the members' mean, but for its epsilon.
        np.testing.assert_allclose(
            advantage, np.mean(advantages, axis=0), rtol=1e-3, atol=1e-5
        )
        assert metrics["value/v"].shape == metrics["critic/loss"].shape == (16,)
    for i, member in enumerate(members):
        jax.tree.map(
            lambda whole, one, i=i: np.testing.assert_allclose(
                whole[i : i + 1], one, rtol=1e-3, atol=1e-5
            ),
            (state.critic.params, state.target_critic),
            (member.critic.params, member.target_critic),
        )


def test_a_gem_with_own_targets_trains_and_acts(key):
    algorithm = gem.make(
        dataclasses.replace(CONFIG, critic_targets="own", num_components=2), fakes.SPEC
    )
    state, batch = jax.jit(algorithm.init)(key), fakes.random_transitions(key, 16)
    state, metrics = jax.jit(algorithm.phases[1].update)(state, key, batch, 0)
    assert all(np.isfinite(value) for value in metrics.values())
    for leaf in jax.tree.leaves(state.values.value.params):
        assert leaf.shape[0] == 3


@pytest.mark.parametrize("members", [(), (2,)])
def test_targets_take_the_discount_of_the_steps_they_span(members):
    rows = fakes.random_transitions(jax.random.key(0), 3)._replace(
        reward=jnp.array([1.0, 2.0, 3.0]), terminal=jnp.array([0.0, 1.0, 0.0])
    )
    spanned = rows._replace(extras={"discount": jnp.array([0.5, 0.5, 0.25])})
    next_value = jnp.full((*members, 3), 4.0)
    one = np.broadcast_to([1 + 0.9 * 4, 2.0, 3 + 0.9 * 4], next_value.shape)
    several = np.broadcast_to([3.0, 2.0, 4.0], next_value.shape)
    for batch, expected in ((rows._replace(extras={}), one), (spanned, several)):
        found = q_ensemble.td_target(batch, next_value, 0.9)
        np.testing.assert_allclose(found, expected, rtol=1e-6)
