from __future__ import annotations

import distrax
import jax.numpy as jnp
import numpy as np

from gem_jax.data.local import tanh_gaussian


def _params(rng):
    shapes = {"hidden_0": (4, 8), "hidden_1": (8, 8), "mean": (8, 2), "log_std": (8, 2)}
    arrays = {}
    for name, shape in shapes.items():
        arrays[f"{name}/weight"] = rng.normal(size=shape).astype(np.float16)
        arrays[f"{name}/bias"] = rng.normal(size=shape[1:]).astype(np.float16)
    return tanh_gaussian.params_from_arrays(arrays)


def test_log_prob_is_distrax_s():
    rng = np.random.default_rng(0)
    params = _params(rng)
    observation = 0.3 * rng.normal(size=(64, 4)).astype(np.float32)
    noise = rng.normal(size=(64, 2)).astype(np.float32)
    mean, log_std = tanh_gaussian.distribution(params, observation)
    mean, log_std = 0.2 * mean, np.minimum(log_std, -1.0)  # away from the bounds
    base = distrax.MultivariateNormalDiag(jnp.asarray(mean), jnp.exp(log_std))
    oracle = distrax.Transformed(base, distrax.Block(distrax.Tanh(), 1))
    expected = oracle.log_prob(jnp.tanh(mean + np.exp(log_std) * noise))
    actual = tanh_gaussian.log_prob(mean, log_std, noise)
    np.testing.assert_allclose(actual, expected, rtol=2e-3, atol=2e-3)


def test_samples_are_of_the_distribution_and_zero_noise_its_mode():
    rng = np.random.default_rng(1)
    params = _params(rng)
    observation = rng.normal(size=4).astype(np.float32)
    mean, log_std = tanh_gaussian.distribution(params, observation)
    assert log_std.max() <= 2.0
    mode = tanh_gaussian.sample(params, observation, np.zeros(2, np.float32))
    np.testing.assert_allclose(mode, np.tanh(mean), rtol=1e-6)
    noise = np.array([0.5, -1.0], np.float32)
    action = tanh_gaussian.sample(params, observation, noise)
    np.testing.assert_allclose(action, np.tanh(mean + np.exp(log_std) * noise))


def test_mean_is_what_samples_average_to():
    rng = np.random.default_rng(2)
    params = _params(rng)
    weight, bias = params.log_std
    params = params._replace(log_std=(0.1 * weight, 0.1 * bias))  # deviations near 1
    observation = 0.3 * rng.normal(size=(3, 4)).astype(np.float32)
    noise = rng.normal(size=(100_000, 3, 2)).astype(np.float32)
    actions = tanh_gaussian.sample(params, observation, noise)
    mean = tanh_gaussian.mean(params, observation)
    np.testing.assert_allclose(mean, actions.mean(axis=0), atol=0.01)


def test_log_prob_is_finite_where_the_tanh_is_one():
    far = tanh_gaussian.log_prob(np.array([50.0]), np.array([-20.0]), np.array([0.0]))
    assert np.isfinite(far)
