"""Diagonal Gaussians against a density worked out by hand."""

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.ops import gaussian


def test_log_density_of_a_gaussian():
    normal = gaussian.Gaussian(jnp.array([[0.0, 1.0]]), jnp.array([[0.0, 1.0]]))
    found = gaussian.log_prob(normal, jnp.array([[0.5, 2.0]]))
    expected = -0.125 - 0.5 * np.exp(-2.0) - 1.0 - np.log(2 * np.pi)
    np.testing.assert_allclose(found, [expected], rtol=1e-6)
    draws = gaussian.sample(
        jax.random.key(0),
        gaussian.Gaussian(jnp.full((4000, 1), 0.3), jnp.full((4000, 1), -1.0)),
    )
    np.testing.assert_allclose(draws.mean(), 0.3, atol=0.02)
    np.testing.assert_allclose(draws.std(), np.exp(-1.0), atol=0.02)
