"""The diffusion's scales, and its solver where the answer is known."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.ops.diffusion

diffusion = programs.whole(gem_jax.ops.diffusion)

MEAN, STD = 0.4, 0.2


def test_scales_preserve_the_variance():
    t = jnp.linspace(0.0, 1.0, 50)
    alpha, sigma = diffusion.alpha_sigma(t)
    np.testing.assert_allclose(alpha**2 + sigma**2, 1.0, rtol=1e-6)
    # beta(t) = 0.1 + 19.9 t, whose half integral the log of alpha is, with a minus.
    expected = np.exp(-0.5 * (0.1 * 0.3 + 19.9 * 0.3**2 / 2))
    np.testing.assert_allclose(diffusion.alpha_sigma(jnp.array(0.3))[0], expected, 1e-6)
    action, noise = jnp.array([[0.5, -1.0]]), jnp.array([[2.0, 1.0]])
    found = diffusion.noised(action, noise, jnp.array([0.3]))
    by_hand = expected * action + np.sqrt(1 - expected**2) * noise
    np.testing.assert_allclose(found, by_hand, rtol=1e-6)


def test_steps_are_even_in_the_signal_to_noise_ratio():
    steps = diffusion.dpm_sampling_steps(7)
    alpha, sigma = diffusion.alpha_sigma(steps.t)
    np.testing.assert_allclose(steps.alpha, alpha, rtol=1e-4)
    np.testing.assert_allclose(steps.sigma, sigma, rtol=1e-4)
    ratios = np.diff(np.log(steps.alpha / steps.sigma))
    np.testing.assert_allclose(ratios, ratios[0], rtol=1e-4)
    np.testing.assert_allclose(steps.t[0], 1.0, rtol=1e-6)


def predict_noise(x, t):
    """Of x_t whose actions are Gaussian: the mean of the noise given x_t."""
    alpha, sigma = diffusion.alpha_sigma(t)
    return sigma * (x - alpha * MEAN) / ((alpha * STD) ** 2 + sigma**2)


def solved(start, num_steps):
    return np.asarray(diffusion.dpm_solver(predict_noise, start, num_steps), np.float64)


def exact(start):
    """The flow of a Gaussian moves every point with its mean and its deviation."""

    def at(t):
        alpha, sigma = np.float64(diffusion.alpha_sigma(jnp.array(t)))
        return alpha * MEAN, np.sqrt((alpha * STD) ** 2 + sigma**2)

    (first, wide), (last, narrow) = at(1.0), at(diffusion.LEAST_TIME)
    return last + (start - first) * narrow / wide


def test_the_solver_follows_the_flow():
    start = np.linspace(-2.0, 2.0, 9)[:, None]
    np.testing.assert_allclose(solved(start, 60), exact(start), atol=2e-3)
    errors = [np.abs(solved(start, n) - exact(start)).max() for n in (8, 16)]
    assert errors[0] / errors[1] > 3.0  # second order: about 4
    assert errors[0] < 0.05


def test_one_step_is_the_first_order_one():
    start = jnp.array([[0.7]])
    alpha, sigma = diffusion.alpha_sigma(jnp.array(1.0))
    low_alpha, low_sigma = diffusion.alpha_sigma(jnp.array(diffusion.LEAST_TIME))
    noise = predict_noise(start, jnp.array(1.0))
    action = (start - sigma * noise) / alpha
    np.testing.assert_allclose(
        solved(start, 1), low_alpha * action + low_sigma * noise, rtol=1e-3
    )


@pytest.mark.parametrize("num_steps", [1, 15])
def test_samples_have_the_moments_of_the_data(num_steps):
    start = jax.random.normal(jax.random.key(0), (20_000, 1))
    found = solved(start, num_steps)
    np.testing.assert_allclose(found.mean(), MEAN, atol=0.01)
    if num_steps > 1:
        np.testing.assert_allclose(found.std(), STD, rtol=0.05)


def few_step_noise(x, t):
    """As ``predict_noise``, in the schedule of few steps."""
    alpha, sigma = diffusion.alpha_sigma(t, diffusion.DDPM_BETA_MAX)
    return sigma * (x - alpha * MEAN) / ((alpha * STD) ** 2 + sigma**2)


def test_the_few_step_schedule_is_idqls():
    """beta_i = 1 - exp(-0.1 / T - 0.5 (10 - 0.1) (2 i - 1) / T^2), here T = 5."""
    times = jnp.arange(6) / 5.0
    total = np.asarray(diffusion.alpha_sigma(times, diffusion.DDPM_BETA_MAX)[0]) ** 2
    number = np.arange(1, 6)
    kept = np.exp(-0.1 / 5 - 0.5 * 9.9 * (2 * number - 1) / 25)
    np.testing.assert_allclose(total[1:], np.cumprod(kept), rtol=1e-5)


def test_one_backward_step_is_the_predicted_action():
    start = jnp.array([[0.3], [-2.0]])
    found = diffusion.ddpm(few_step_noise, jax.random.key(0), start, 1)
    alpha, sigma = diffusion.alpha_sigma(jnp.array(1.0), diffusion.DDPM_BETA_MAX)
    action = (start - sigma * few_step_noise(start, jnp.array(1.0))) / alpha
    np.testing.assert_allclose(found, jnp.clip(action, -1.0, 1.0), rtol=1e-5)


def test_two_backward_steps_by_hand():
    start, key = jnp.array([[0.5]]), jax.random.key(3)
    found = diffusion.ddpm(few_step_noise, key, start, 2)
    high, low = (
        float(diffusion.alpha_sigma(jnp.array(t), diffusion.DDPM_BETA_MAX)[0]) ** 2
        for t in (1.0, 0.5)
    )
    x = float(start[0, 0])
    for here, after, place in ((high, low, 0), (low, 1.0, 1)):
        t = jnp.array([1.0, 0.5][place])
        noise = float(few_step_noise(jnp.array(x), t))
        action = np.clip((x - np.sqrt(1 - here) * noise) / np.sqrt(here), -1, 1)
        beta = 1 - here / after
        # Ho et al. (2020), Eq. 7.
        x = np.sqrt(after) * beta * action + np.sqrt(1 - beta) * (1 - after) * x
        x /= 1 - here
        if place == 0:
            drawn = jax.random.normal(jax.random.split(key)[0], (1, 1))
            x += np.sqrt(beta) * float(drawn[0, 0])
    np.testing.assert_allclose(found[0, 0], x, rtol=1e-4)


@pytest.mark.parametrize(("num_steps", "error"), [(5, 0.5), (300, 0.08)])
def test_backward_samples_have_the_moments_of_the_data(num_steps, error):
    start = jax.random.normal(jax.random.key(0), (20_000, 1))
    found = diffusion.ddpm(few_step_noise, jax.random.key(1), start, num_steps)
    np.testing.assert_allclose(found.mean(), MEAN, atol=0.02)
    np.testing.assert_allclose(found.std(), STD, rtol=error)
