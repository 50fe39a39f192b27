"""The critic's two paths through its first layer are one function."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.networks import critic


@pytest.mark.parametrize("layer_norm", [False, True])
def test_many_actions_of_one_state_equal_pairs(key, layer_norm):
    network = critic.Critic((16, 8), layer_norm)
    observation = jax.random.normal(key, (3,))
    actions = jax.random.uniform(jax.random.key(1), (5, 2), minval=-1.0)
    params = jax.jit(network.init)(key, observation, actions[0])
    # Off zero, so that a bias added twice or not at all shows.
    params["params"]["bias"] = jax.random.normal(jax.random.key(2), (16,))
    weights = jnp.arange(1.0, 6.0)

    def split(params, observation, actions):
        q = network.apply(params, observation, actions)
        return weights @ q, q

    def paired(params, observation, actions):
        observations = jnp.broadcast_to(observation, (5, 3))
        q = network.apply(params, observations, actions)
        return weights @ q, q

    (got, grads), (expected, expected_grads) = (
        jax.jit(jax.value_and_grad(path, argnums=(0, 1, 2), has_aux=True))(
            params, observation, actions
        )
        for path in (split, paired)
    )
    assert got[1].shape == (5,)
    np.testing.assert_allclose(got[1], expected[1], rtol=1e-5, atol=1e-6)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        grads,
        expected_grads,
    )


def test_bfloat16_hidden_layers_keep_values_and_their_differences(key):
    """Rounded last would be a value near 100, to a whole half; its layers are not."""
    networks = {d: critic.Critic((64, 64), True, d) for d in ("float32", "bfloat16")}
    observation = jax.random.normal(key, (3,))
    actions = jax.random.uniform(jax.random.key(1), (50, 2), minval=-1.0)
    params = jax.jit(networks["float32"].init)(key, observation, actions[0])
    params["params"]["Dense_0"]["bias"] += 100.0
    exact, rounded = (
        jax.jit(network.apply)(params, observation, actions)
        for network in networks.values()
    )
    assert rounded.dtype == exact.dtype == jnp.float32
    exact, rounded = np.asarray(exact), np.asarray(rounded)
    assert np.abs(rounded - exact).max() < 0.05 * np.std(exact)
    assert not np.array_equal(rounded, exact)
