"""The variance-preserving diffusion of actions, and ways back (SfBC, IDQL).

``x_t = alpha_t a + sigma_t z`` with ``alpha_t^2 + sigma_t^2 = 1``; t runs from 0, the
action, to 1, noise. The noise level beta(t) is linear in t.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array, PRNGKey

NoiseFn = Callable[[Array, Array], Array]

BETA_MIN, BETA_MAX = 0.1, 20.0
DDPM_BETA_MAX = 10.0  # of diffusions in a few steps, as IDQL has them
LEAST_TIME = 1e-3  # where sampling ends: sigma is 0.01 there


def log_alpha(t: Array, beta_max: float = BETA_MAX) -> Array:
    """-t^2 (beta_1 - beta_0) / 4 - t beta_0 / 2, elementwise."""
    return -0.25 * t**2 * (beta_max - BETA_MIN) - 0.5 * t * BETA_MIN


def alpha_sigma(t: Array, beta_max: float = BETA_MAX) -> tuple[Array, Array]:
    """Scale of the action and of the noise at time t, elementwise."""
    log_scale = log_alpha(t, beta_max)
    return jnp.exp(log_scale), jnp.sqrt(-jnp.expm1(2.0 * log_scale))


def noised(action: Array, noise: Array, t: Array, beta_max: float = BETA_MAX) -> Array:
    """x_t `[..., A]` of an action and noise `[..., A]` at times `[...]`."""
    _shapes.same(action=action, noise=noise)
    _shapes.fits("t", t, action.shape[:-1], f"action {action.shape}")
    alpha, sigma = (scale[..., None] for scale in alpha_sigma(t, beta_max))
    return alpha * action + sigma * noise


class Step(NamedTuple):
    """Coefficients of one step of the solver, or of all, `[T]` each.

    Attributes:
      t: where it starts.
      alpha: there.
      sigma: there.
      keep: sigma at its end over sigma at its start, weight of x.
      move: weight of the predicted action.
      extrapolate: how far to go beyond the last prediction, 0 in a step of first order.
    """

    t: Array
    alpha: Array
    sigma: Array
    keep: Array
    move: Array
    extrapolate: Array


def dpm_sampling_steps(num_steps: int) -> Step:
    """DPM-Solver++(2M) on steps even in log(alpha / sigma) (Lu et al., 2022).

    The first and the last step are of first order.

    Args:
      num_steps: T, at least 1.
    """
    high, low = (_log_ratio(jnp.float32(t)) for t in (1.0, LEAST_TIME))
    ratio = jnp.linspace(high, low, num_steps + 1)
    # alpha^2 and sigma^2 are the two shares of a sum of 1.
    alpha, sigma = (jnp.sqrt(jax.nn.sigmoid(sign * 2.0 * ratio)) for sign in (1, -1))
    # The root t of log_alpha(t) = log alpha.
    slope = BETA_MAX - BETA_MIN
    square = -2.0 * slope * jax.nn.log_sigmoid(2.0 * ratio)
    t = square / (jnp.sqrt(BETA_MIN**2 + square) + BETA_MIN) / slope
    number = jnp.arange(num_steps)
    inner = (number > 0) & (number < num_steps - 1)
    return Step(
        t=t[:-1],
        alpha=alpha[:-1],
        sigma=sigma[:-1],
        keep=sigma[1:] / sigma[:-1],
        move=alpha[1:] * -jnp.expm1(ratio[:-1] - ratio[1:]),
        # A step over twice the step before, which has the same size.
        extrapolate=jnp.where(inner, 0.5, 0.0),
    )


def _log_ratio(t: Array) -> Array:
    """log(alpha / sigma), half the log of the signal-to-noise ratio."""
    alpha, sigma = alpha_sigma(t)
    return jnp.log(alpha) - jnp.log(sigma)


def dpm_solver(predict_noise: NoiseFn, start: Array, num_steps: int) -> Array:
    """Solves the diffusion's differential equation from noise to actions.

    Args:
      predict_noise: (x `[..., A]`, t `[]`) to the noise in x, of the same shape.
      start: `[..., A]` standard normal.
      num_steps: T, static, calls of ``predict_noise``.

    Returns:
      `[..., A]`, not clipped.
    """

    def step(carry: tuple[Array, Array], at: Step) -> tuple[tuple[Array, Array], None]:
        x, last = carry
        predicted = (x - at.sigma * predict_noise(x, at.t)) / at.alpha
        target = predicted + at.extrapolate * (predicted - last)
        return (at.keep * x + at.move * target, predicted), None

    (x, _), _ = jax.lax.scan(step, (start, start), dpm_sampling_steps(num_steps))
    return x


def ddpm(
    predict_noise: NoiseFn,
    key: PRNGKey,
    start: Array,
    num_steps: int,
    *,
    posterior_variance: bool = False,
) -> Array:
    """Samples backwards from noise to actions at times 1, (T - 1) / T to 1 / T.

    Each step draws from the posterior between x and the predicted action, which is
    clipped to the action box (Ho et al., 2020, Eq. 7). With ``DDPM_BETA_MAX`` the
    variances are those of IDQL's and Diffusion-QL's schedule.

    Args:
      predict_noise: (x `[..., A]`, t `[]`) to the noise in x, of the same shape.
      key: consumed.
      start: `[..., A]` standard normal.
      num_steps: T, static.
      posterior_variance: take the posterior's own variance, as Diffusion-QL, and not
        the larger one of the step itself, as IDQL.

    Returns:
      `[..., A]` in [-1, 1].
    """
    times = jnp.arange(num_steps, -1, -1, dtype=jnp.float32) / num_steps
    kept = jnp.exp(2.0 * log_alpha(times, DDPM_BETA_MAX))  # alpha^2

    def step(x: Array, at: tuple[Array, ...]) -> tuple[Array, None]:
        t, here, after, step_key = at
        share = here / after  # of alpha^2, kept in this step
        noise = jnp.sqrt(1.0 - here) * predict_noise(x, t)
        action = jnp.clip((x - noise) / jnp.sqrt(here), -1.0, 1.0)
        of_action = jnp.sqrt(after) * (1.0 - share) / (1.0 - here)
        of_x = jnp.sqrt(share) * (1.0 - after) / (1.0 - here)
        variance = 1.0 - share
        if posterior_variance:
            variance *= (1.0 - after) / (1.0 - here)
        spread = jnp.where(after < 1.0, jnp.sqrt(variance), 0.0)  # none at the end
        drawn = jax.random.normal(step_key, x.shape, x.dtype)
        return of_action * action + of_x * x + spread * drawn, None

    keys = jax.random.split(key, num_steps)
    return jax.lax.scan(step, start, (times[:-1], kept[:-1], kept[1:], keys))[0]
