"""Distrax's view of a mixture and of a Gaussian against ``gem_jax.ops``."""

import distrax
import jax
import numpy as np
import pytest

from gem_jax import distributions
from gem_jax.ops import gaussian, mixture

B, K, A = 5, 4, 3


@jax.jit
def some_mixture(key):
    keys = jax.random.split(key, 3)
    return mixture.Mixture(
        jax.random.normal(keys[0], (B, K)),
        jax.random.uniform(keys[1], (B, K, A), minval=-1.0),
        0.5 * jax.random.normal(keys[2], (B, K, A)) - 1.0,
    )


@jax.jit
def some_gaussian(key):
    keys = jax.random.split(key)
    return gaussian.Gaussian(
        jax.random.uniform(keys[0], (B, A), minval=-1.0),
        0.5 * jax.random.normal(keys[1], (B, A)) - 1.0,
    )


def test_a_mixture_has_the_log_density_and_the_mean_of_ours(key):
    ours = some_mixture(key)
    assert_alike(ours, distributions.from_mixture, distrax.MixtureSameFamily, mixture)


def assert_alike(ours, convert, kind, ops):
    @jax.jit
    def of_both(ours, action):
        theirs = convert(ours)
        assert isinstance(theirs, kind)
        assert (theirs.batch_shape, theirs.event_shape) == ((B,), (A,))
        log_probs = theirs.log_prob(action), ops.log_prob(ours, action)
        own_mean = ours.mean if ops is gaussian else ops.mean(ours)
        return log_probs, (theirs.mean(), own_mean)

    log_probs, means = of_both(ours, jax.random.normal(jax.random.key(1), (B, A)))
    np.testing.assert_allclose(*log_probs, rtol=1e-5, atol=1e-5)
    exact = ops is gaussian
    np.testing.assert_allclose(*means, rtol=0.0, atol=0.0 if exact else 1e-5)


def test_a_gaussian_has_the_log_density_and_the_mean_of_ours(key):
    ours = some_gaussian(key)
    kind = distrax.MultivariateNormalDiag
    assert_alike(ours, distributions.from_gaussian, kind, gaussian)


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
    expected = jax.jit(lambda p: convert(p).mean())(parameters)
    np.testing.assert_allclose(np.mean(samples, axis=0), expected, atol=0.1)
