"""Policies that start near 0, also from states that are not normalized."""

import jax
import jax.numpy as jnp
import pytest

from gem_jax.networks.deterministic import DeterministicPolicy
from gem_jax.networks.tanh_gaussian import TanhGaussianNetwork

STATES = 30.0 * jax.random.normal(jax.random.key(1), (64, 17))
SIZES = ((256, 256), 6)


@pytest.mark.parametrize(
    "network",
    [
        DeterministicPolicy(*SIZES, starts_near_zero=True),
        TanhGaussianNetwork(*SIZES, -20.0, 2.0),
    ],
)
def test_nothing_starts_at_a_bound(network, key):
    params = network.init(key, STATES[0])
    outputs = jax.tree.leaves(network.apply(params, STATES))
    for output in outputs:  # mean and log-std, or the action
        assert 0.0 < jnp.max(jnp.abs(output)) < 0.5


def test_others_start_where_the_tanh_has_no_slope(key):
    network = DeterministicPolicy(*SIZES)
    actions = network.apply(network.init(key, STATES[0]), STATES)
    assert jnp.mean(jnp.abs(actions) > 0.99) > 0.5
