"""Distrax's view of a mixture and of a Gaussian against ``gem_jax.ops``."""

import distrax
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import distributions
from gem_jax.ops import gaussian, mixture

B, K, A = 5, 4, 3


def some_mixture(key):
    keys = jax.random.split(key, 3)
    return mixture.Mixture(
        jax.random.normal(keys[0], (B, K)),
        jax.random.uniform(keys[1], (B, K, A), minval=-1.0),
        0.5 * jax.random.normal(keys[2], (B, K, A)) - 1.0,
    )


def some_gaussian(key):
    keys = jax.random.split(key)
    return gaussian.Gaussian(
        jax.random.uniform(keys[0], (B, A), minval=-1.0),
        0.5 * jax.random.normal(keys[1], (B, A)) - 1.0,
    )


def test_a_mixture_has_the_log_density_and_the_mean_of_ours(key):
    ours = some_mixture(key)
    theirs = distributions.from_mixture(ours)
    assert isinstance(theirs, distrax.MixtureSameFamily)
    assert (theirs.batch_shape, theirs.event_shape) == ((B,), (A,))
    action = jax.random.normal(jax.random.key(1), (B, A))
    np.testing.assert_allclose(
        theirs.log_prob(action), mixture.log_prob(ours, action), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_allclose(theirs.mean(), mixture.mean(ours), atol=1e-5)


def test_a_gaussian_has_the_log_density_and_the_mean_of_ours(key):
    ours = some_gaussian(key)
    theirs = distributions.from_gaussian(ours)
    assert isinstance(theirs, distrax.MultivariateNormalDiag)
    assert (theirs.batch_shape, theirs.event_shape) == ((B,), (A,))
    action = jax.random.normal(jax.random.key(1), (B, A))
    np.testing.assert_allclose(
        theirs.log_prob(action), gaussian.log_prob(ours, action), rtol=1e-5, atol=1e-5
    )
    np.testing.assert_array_equal(theirs.mean(), ours.mean)


@pytest.mark.parametrize(
    ("make", "convert"),
    [
        (some_mixture, distributions.from_mixture),
        (some_gaussian, distributions.from_gaussian),
    ],
)
def test_sampling_under_jit(key, make, convert):
    @jax.jit
    def draw(key, parameters):
        return convert(parameters).sample(seed=key, sample_shape=(4_000,))

    parameters = make(key)
    samples = draw(jax.random.key(2), parameters)
    assert samples.shape == (4_000, B, A)
    expected = convert(parameters).mean()
    np.testing.assert_allclose(jnp.mean(samples, axis=0), expected, atol=0.1)
