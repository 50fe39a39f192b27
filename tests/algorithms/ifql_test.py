"""IFQL: its flow against float64 NumPy, and what it chooses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_modes
from oracles import comparison, descent, learners, networks

from gem_jax.algorithms import ifql
from gem_jax.ops import flow
from gem_jax.testing import fakes

CONFIG = ifql.Config(
    hidden_sizes=(5, 4),
    learning_rate=0.01,
    critic_layer_norm=False,
    discount=0.9,
    expectile=0.8,
    polyak=0.3,
)


def test_updates():
    algorithm = ifql.make(CONFIG, comparison.SPEC)
    state = comparison.start(algorithm)
    values = learners.Values(
        state.values,
        layer_norm=False,
        rate=0.01,
        discount=0.9,
        expectile=0.8,
        polyak=0.3,
    )
    behavior = descent.Adam(state.behavior.params)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        rows, key = comparison.batch(step), jax.random.key(step)
        noise_key, time_key = jax.random.split(key)
        noise = np.asarray(jax.random.normal(noise_key, (12, 2)), np.float64)
        time = np.asarray(jax.random.uniform(time_key, (12,)), np.float64)[:, None]
        wide = comparison.widened(rows)
        x = (1 - time) * noise + time * wide.action
        inputs = np.concatenate([wide.observation, time, x], 1)

        def loss(params, inputs=inputs, goal=wide.action - noise):
            found = networks.gelu(networks.dense(params, inputs))
            for name in sorted(params["MLP_0"]):
                found = networks.gelu(networks.dense(params["MLP_0"][name], found))
            return ((networks.dense(params["Dense_0"], found) - goal) ** 2).mean()

        _, expected = values.step(wide)
        expected["behavior/loss"] = loss(behavior.params)
        behavior.descend(loss, 0.01)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.behavior, behavior)
        comparison.assert_learned(state.values.critic, values.critic)
        comparison.assert_learned(state.values.value, values.value)


@pytest.mark.parametrize("num_steps", [1, 7])
def test_euler_steps_are_exact_on_straight_flows(num_steps):
    """Towards 3, from wherever it starts: (3 - x) / (1 - t), without curvature."""
    start = jnp.array([[0.0], [-2.0]])
    found = flow.euler(lambda x, t: (3.0 - x) / (1.0 - t), start, num_steps)
    np.testing.assert_allclose(found, 3.0, rtol=1e-5)


def test_euler_steps_by_hand():
    """x' = x: two steps of one half multiply by 1.5 twice."""
    np.testing.assert_allclose(flow.euler(lambda x, t: x, jnp.ones(1), 2), 2.25)


@pytest.fixture(scope="module")
def trained():
    """On two modes of which one is rewarded."""
    config = ifql.Config(
        num_steps=1500,
        batch_size=128,
        hidden_sizes=(64, 64),
        learning_rate=3e-3,
        num_candidates=16,
    )
    algorithm = ifql.make(config, fakes.BANDIT_SPEC)
    play = two_modes.train(algorithm)

    def act(num_candidates):
        return play(ifql.Knobs(num_candidates))

    return act


def test_one_candidate_is_the_behavior_and_many_are_the_rewarded_mode(trained):
    actions = trained(1)
    near = [np.abs(actions - mode) < 0.25 for mode in (-0.7, 0.7)]
    assert np.mean(near[0] | near[1]) > 0.85
    assert 0.35 < near[1].mean() < 0.65
    assert np.mean(trained(32) > 0.2) > 0.95


@pytest.mark.parametrize("field", ["num_candidates", "sampling_steps"])
def test_bad_settings_name_the_field(field):
    with pytest.raises(ValueError, match=field):
        ifql.Config(**{field: 0})
