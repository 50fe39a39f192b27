"""The mixture network's log-scales: where they start and where they learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.networks import mixture as mixture_network
from gem_jax.ops import mixture

OBSERVATION = jnp.array([0.3, -0.2, 1.0])


def make(key, low, high):
    network = mixture_network.MixtureNetwork((8,), 2, 2, low, high)
    return network, jax.jit(network.init)(key, OBSERVATION)


def log_std_gradient(network, params):
    def log_prob(params):
        policy = network.apply(params, OBSERVATION)
        return mixture.log_prob(policy, jnp.array([0.4, -0.4]))

    return np.asarray(jax.jit(jax.grad(log_prob))(params)["params"]["log_stds"])


@pytest.mark.parametrize(
    ("low", "high"),
    [(-5, 2), (-20, 2), (-5, -1), (1, 2), (0, 2), (-5, 0), (-0.1, 5), (-5, 0.1)],
)
def test_log_stds_start_strictly_inside_their_bounds(key, low, high):
    network, params = make(key, low, high)
    start = np.asarray(params["params"]["log_stds"])
    assert ((low < start) & (start < high)).all()
    policy = jax.jit(network.apply)(params, OBSERVATION)
    np.testing.assert_array_equal(policy.log_stds, start)
    assert (log_std_gradient(network, params) != 0).all()


def test_log_stds_learn_inside_their_bounds_only(key):
    network, params = make(key, -2.0, 1.0)
    params["params"]["log_stds"] = jnp.array([[-2.5, -1.9], [1.5, 0.9]])
    policy = network.apply(params, OBSERVATION)
    np.testing.assert_allclose(policy.log_stds, [[-2.0, -1.9], [1.0, 0.9]])
    gradient = log_std_gradient(network, params)
    np.testing.assert_array_equal(gradient != 0, [[False, True], [False, True]])
