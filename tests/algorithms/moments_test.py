"""Running mean and spread."""

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.learners import moments


def test_averages_against_numpy(key):
    batches = 3.0 + 2.0 * np.asarray(jax.random.normal(key, (50, 16)), np.float64)
    running = moments.nothing()
    for batch in batches:
        running = moments.update(running, jnp.asarray(batch, jnp.float32))
    shares = 0.001 * 0.999 ** np.arange(49, -1, -1)
    shares /= shares.sum()
    mean = shares @ batches.mean(1)
    std = np.sqrt(shares @ (batches**2).mean(1) - mean**2)
    np.testing.assert_allclose(moments.mean_and_std(running), (mean, std), rtol=1e-4)


def test_before_the_first_batch_nothing_is_scaled():
    assert moments.mean_and_std(moments.nothing()) == (0.0, 1.0)


def test_equal_values_have_a_least_spread():
    running = moments.update(moments.nothing(), jnp.full(8, 3.0))
    mean, std = moments.mean_and_std(running)
    assert mean == 3.0 and 0.0 < std < 0.01
