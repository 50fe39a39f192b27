"""The policy that follows the critic's gradient: its loss, and GEM's use of it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gem_jax import errors
from gem_jax.algorithms import gem
from gem_jax.learners import gradient_policy
from gem_jax.testing import fakes

CONFIG = gem.Config(
    hidden_sizes=(8, 8),
    num_critics=2,
    num_components=2,
    num_candidates=4,
    gradient_cloning=0.5,
)


def make(cloning, rate=0.01):
    return gradient_policy.make_gradient_learner(
        fakes.SPEC, optax.adam(rate), hidden_sizes=(16, 16), cloning=cloning
    )


def test_loss_against_numpy(key):
    learner = make(0.3)
    state, batch = learner.init(key), fakes.random_transitions(key, 16)

    def q_fn(observation, action):
        return 5.0 - 3.0 * jnp.sum(action, axis=-1) + observation[:, 0]

    _, metrics = learner.update(state, batch, q_fn)
    pi = np.asarray(learner.apply(state.params, batch.observation), np.float64)
    q = 5.0 - 3.0 * pi.sum(-1) + np.asarray(batch.observation, np.float64)[:, 0]
    distance = ((pi - np.asarray(batch.action, np.float64)) ** 2).sum(-1)
    expected = 0.15 * distance - q / np.abs(q).mean()
    np.testing.assert_allclose(metrics["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(metrics["distance"], distance, rtol=1e-5)


@pytest.mark.parametrize(("cloning", "near"), [(0.0, 0.7), (1e4, -0.4)])
def test_it_goes_to_the_best_value_or_stays_with_the_data(key, cloning, near):
    learner = make(cloning)
    batch = fakes.random_transitions(key, 32)
    batch = batch._replace(action=jnp.full_like(batch.action, -0.4))

    def q_fn(observation, action):
        del observation
        return 5.0 - jnp.sum((action - 0.7) ** 2, axis=-1)

    update = jax.jit(lambda state: learner.update(state, batch, q_fn)[0])
    state = learner.init(key)
    for _ in range(400):
        state = update(state)
    action = learner.apply(state.params, batch.observation)
    np.testing.assert_allclose(action, np.full_like(action, near), atol=0.05)


def test_gem_trains_it_without_moving_anything_else(key):
    batch = fakes.random_transitions(key, 16)
    plain = gem.make(dataclasses.replace(CONFIG, gradient_cloning=0.0), fakes.SPEC)
    both = gem.make(CONFIG, fakes.SPEC)
    after = {}
    for algorithm in (plain, both):
        update = jax.jit(algorithm.phases[1].update)
        state, metrics = algorithm.init(key), {}
        for step in range(2):
            state, metrics = update(state, key, batch, step)
        after[algorithm] = state
    assert "gradient/loss" in metrics
    first, second = after.values()
    assert first.gradient is None
    assert not np.array_equal(
        second.gradient.params["params"]["Dense_0"]["bias"],
        both.init(key).gradient.params["params"]["Dense_0"]["bias"],
    )
    jax.tree.map(
        lambda one, other: np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-7),
        (first.actor, first.values, first.behavior),
        (second.actor, second.values, second.behavior),
    )


def test_it_does_not_start_as_a_copy_of_the_actor(key):
    """Its first layer has the actor's shape, and must be drawn by another key."""
    state = gem.make(CONFIG, fakes.SPEC).init(key)
    first = [
        {leaf.shape: leaf for leaf in jax.tree.leaves(params) if leaf.ndim == 2}
        for params in (state.gradient.params, state.actor.params)
    ]
    shared = first[0].keys() & first[1].keys()
    assert shared
    assert not any(np.array_equal(first[0][n], first[1][n]) for n in shared)


def test_the_anchor_is_its_action(key):
    algorithm = gem.make(
        dataclasses.replace(CONFIG, anchor="gradient", num_candidates=0), fakes.SPEC
    )
    state = algorithm.init(key)
    observation = jnp.arange(float(fakes.SPEC.observation_size))
    output = algorithm.act(
        algorithm.actor_params(state), key, observation, 0, algorithm.knobs
    )
    own = gradient_policy.make_gradient_learner(
        fakes.SPEC, optax.adam(0.1), hidden_sizes=(8, 8), cloning=1.0
    )
    expected = own.apply(state.gradient.params, observation)
    np.testing.assert_allclose(output.action, expected, rtol=1e-6)


def test_a_run_without_it_refuses_the_anchor(key):
    plain = dataclasses.replace(CONFIG, gradient_cloning=0.0, anchor="gradient")
    algorithm = gem.make(plain, fakes.SPEC)
    params = algorithm.actor_params(algorithm.init(key))
    observation = jnp.zeros(fakes.SPEC.observation_size)
    with pytest.raises(errors.UserError, match="gradient_cloning"):
        algorithm.act(params, key, observation, 0, algorithm.knobs)
