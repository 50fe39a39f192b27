"""What each algorithm learns from two modes of which only one is rewarded."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, policy
from gem_jax.testing import fakes
from gem_jax.training import loop

SIZE = dict(num_steps=1500, batch_size=128, hidden_sizes=(64,), learning_rate=3e-3)
CLONING = dict(beta=0.0, num_critics=2, num_candidates=0, behavior_steps=1)
GUIDED = dict(
    num_steps=3000,
    behavior_steps=1500,
    num_components=4,
    behavior_components=4,
    num_critics=2,
    num_candidates=32,
    value_scale="zscore",
    support_cap=-0.5,
    lambda_schedule="constant",
    lambda_end=3.0,
)


def actions_after_training(name, dataset=None, **changes):
    config = algorithms.config_class(name)(**SIZE | changes)
    algorithm = algorithms.make(name, config, fakes.BANDIT_SPEC)
    keys = loop.seed_keys([0])
    if dataset is None:
        dataset = fakes.two_mode_bandit(jax.random.key(1))
    state = loop.init(algorithm, keys)
    for chunk in loop.run(algorithm, keys, dataset, state, steps_per_dispatch=1500):
        state = chunk.state
    count = 64
    params = loop.policy_params(algorithm, loop.select_seed(state, 0))
    observation = jax.random.uniform(jax.random.key(3), (count, 1))
    output = policy.bind(algorithm, params).act(jax.random.key(2), observation)
    return np.asarray(output.action[:, 0])


@pytest.mark.parametrize(
    ("name", "changes"), [("gem", GUIDED), ("iql", dict(beta=10.0))]
)
def test_values_lead_to_the_rewarded_mode(name, changes):
    actions = actions_after_training(name, **changes)
    np.testing.assert_allclose(actions, fakes.BANDIT_MODE, atol=0.2)


@pytest.mark.parametrize(
    ("name", "changes"), [("bc", {}), ("gem", dict(num_components=1, **CLONING))]
)
def test_one_component_clones_the_action_nobody_took(name, changes):
    np.testing.assert_allclose(actions_after_training(name, **changes), 0.0, atol=0.2)


def test_several_components_clone_modes():
    actions = actions_after_training("gem", num_components=4, **CLONING)
    at_a_mode = np.abs(np.abs(actions) - fakes.BANDIT_MODE) < 0.2
    assert at_a_mode.mean() > 0.8  # the rest where one component gives way to another


def test_mixtures_are_those_of_the_responsible_cluster():
    """The unrewarded mode alone, since the other one is another cluster's."""
    data = fakes.two_mode_bandit(jax.random.key(1))
    cluster = (data.action[:, 0] < 0.0).astype(jnp.float32)
    actions = actions_after_training(
        "gem",
        dataset=data._replace(extras={"responsibility": cluster}),
        num_components=2,
        num_critics=2,
        behavior_steps=1500,
        num_steps=10,  # what is executed comes from the behavior
        candidates="behavior",
        num_candidates=8,
    )
    np.testing.assert_allclose(actions, -fakes.BANDIT_MODE, atol=0.2)
