"""Policies that start near 0, also from states that are not normalized."""

import jax
import numpy as np
import pytest

from gem_jax.networks.deterministic import DeterministicPolicy
from gem_jax.networks.tanh_gaussian import TanhGaussianNetwork

STATES = 30.0 * np.random.default_rng(1).normal(size=(64, 17)).astype(np.float32)
SIZES = ((256, 256), 6)


@pytest.mark.parametrize(
    "network",
    [
        DeterministicPolicy(*SIZES, starts_near_zero=True),
        TanhGaussianNetwork(*SIZES, -20.0, 2.0),
    ],
)
def test_nothing_starts_at_a_bound(network, key):
    params = jax.jit(network.init)(key, STATES[0])
    outputs = jax.tree.leaves(jax.jit(network.apply)(params, STATES))
    for output in outputs:  # mean and log-std, or the action
        assert 0.0 < np.max(np.abs(output)) < 0.5


def test_others_start_where_the_tanh_has_no_slope(key):
    network = DeterministicPolicy(*SIZES)
    params = jax.jit(network.init)(key, STATES[0])
    actions = jax.jit(network.apply)(params, STATES)
    assert np.mean(np.abs(actions) > 0.99) > 0.5
