"""Diagonal Gaussian mixtures: log-density, responsibilities, EM surrogate, sampling.

Functions take leading batch axes `[...]` shared by the mixture and the action, and
raise ``ValueError`` where shapes disagree. ``log_prob_of_set`` takes many actions under
one mixture.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array, PRNGKey


class Mixture(NamedTuple):
    """A mixture of `K` Gaussians with diagonal covariance over actions of size `A`.

    Attributes:
      logits: `[..., K]` unnormalized log-weights.
      means: `[..., K, A]`.
      log_stds: `[..., K, A]`.
    """

    logits: Array
    means: Array
    log_stds: Array


def component_log_prob(mixture: Mixture, action: Array) -> Array:
    """log N(a; mu_k, diag sigma_k^2) of every component, `[..., K]` (Eq. 38, 39)."""
    _check(mixture)
    *batch, _, size = shape = mixture.means.shape
    _shapes.fits("action", action, (*batch, size), f"mixture.means {shape}")
    z = (action[..., None, :] - mixture.means) * jnp.exp(-mixture.log_stds)
    quadratic = jnp.sum(0.5 * z**2 + mixture.log_stds, axis=-1)
    return -quadratic - 0.5 * size * math.log(2.0 * math.pi)


def log_joint(mixture: Mixture, action: Array) -> Array:
    """g_k = log pi_k + log N_k, `[..., K]` (Eq. 26, 51)."""
    log_weights = jax.nn.log_softmax(mixture.logits, axis=-1)
    return log_weights + component_log_prob(mixture, action)


def log_prob(mixture: Mixture, action: Array) -> Array:
    """log p(a) = logsumexp_k g_k, `[...]` in nats (Eq. 27, 52)."""
    return jax.nn.logsumexp(log_joint(mixture, action), axis=-1)


def log_prob_of_set(mixture: Mixture, actions: Array) -> Array:
    """log p(a) of many actions under one mixture, `[C, A]` to `[C]` in nats (Eq. 27).

    As ``log_prob``, with the actions along the last axis, where a CPU's vector units
    take many at a time. The squares are not expanded into matrix products: for a scale
    of e^-5 the terms, of order 1e5 nats, would cancel and leave errors of 0.01.
    """
    _check_single(mixture)
    _shapes.axes("actions", actions, "[C, A]")
    wanted = (actions.shape[0], mixture.means.shape[-1])
    _shapes.fits("actions", actions, wanted, f"mixture.means {mixture.means.shape}")
    inverse = jnp.exp(-mixture.log_stds)[..., None]
    z = (actions.T[None] - mixture.means[..., None]) * inverse  # [K, A, C]
    log_peaks = (
        jax.nn.log_softmax(mixture.logits, axis=-1)
        - jnp.sum(mixture.log_stds, axis=-1)
        - 0.5 * actions.shape[-1] * math.log(2.0 * math.pi)
    )
    joint = log_peaks[:, None] - 0.5 * jnp.sum(z**2, axis=1)
    return jax.nn.logsumexp(joint, axis=0)


def responsibilities(mixture: Mixture, action: Array) -> Array:
    """gamma_k = softmax_k g_k, `[..., K]` (Eq. 28, 55)."""
    return jax.nn.softmax(log_joint(mixture, action), axis=-1)


def loose_elbo(mixture: Mixture, action: Array, *, detach: bool = True) -> Array:
    """F = sum_k gamma_k g_k, the bound without its entropy term, `[...]` (Eq. 35, 36).

    With ``detach`` the responsibilities are constants, and the gradient of F is exactly
    that of the log-density (Eq. 37). Without it the gradient becomes
    ``sum_k gamma_k (1 + g_k - sum_j gamma_j g_j) grad g_k``.
    """
    joint = log_joint(mixture, action)
    gamma = jax.nn.softmax(joint, axis=-1)
    if detach:
        gamma = jax.lax.stop_gradient(gamma)
    return jnp.sum(gamma * joint, axis=-1)


def towards_mode(mixture: Mixture, action: Array) -> Array:
    """One fixed-point step from an action towards a mode of the density, `[..., A]`.

    The mean of the components, each with the precision and the responsibility it has
    at the action: ``(sum_k gamma_k P_k)^-1 sum_k gamma_k P_k mu_k`` with ``P_k`` the
    inverse of its variances. An EM step in the action, so the density never falls
    (Carreira-Perpinan, 2000). A sample keeps its component and loses its noise.
    """
    weight = responsibilities(mixture, action)[..., None]
    precision = weight * jnp.exp(-2.0 * mixture.log_stds)  # [..., K, A]
    total = jnp.sum(precision, axis=-2)
    return jnp.sum(precision * mixture.means, axis=-2) / total


def gating_entropy(mixture: Mixture) -> Array:
    """H_g = -sum_k pi_k log pi_k, `[...]` in nats (Eq. 43)."""
    _check(mixture)
    log_weights = jax.nn.log_softmax(mixture.logits, axis=-1)
    # A weight of exactly zero contributes nothing; 0 * -inf would be NaN.
    safe = jnp.where(jnp.isfinite(log_weights), log_weights, 0.0)
    return -jnp.sum(jnp.exp(log_weights) * safe, axis=-1)


def mode_component(mixture: Mixture) -> Array:
    """k* = argmax_k pi_k, `[...]` int32 (Eq. 6, 73)."""
    _check(mixture)
    return jnp.argmax(mixture.logits, axis=-1)


def mode_mean(mixture: Mixture) -> Array:
    """mu_{k*}, the mean of the heaviest component, `[..., A]` (Eq. 6, 77)."""
    return component(mixture, mode_component(mixture))[0]


def mean(mixture: Mixture) -> Array:
    """sum_k pi_k mu_k, the mean of the whole mixture, `[..., A]`."""
    _check(mixture)
    weights = jax.nn.softmax(mixture.logits, axis=-1)
    return jnp.sum(weights[..., None] * mixture.means, axis=-2)


def only_mode(mixture: Mixture) -> Mixture:
    """The mixture with all weight moved to its heaviest component."""
    index = mode_component(mixture)[..., None]
    components = jnp.arange(mixture.logits.shape[-1], dtype=index.dtype)
    keep = components == index
    return mixture._replace(logits=jnp.where(keep, 0.0, -jnp.inf))


def component(mixture: Mixture, index: Array) -> tuple[Array, Array]:
    """Mean and standard deviation `[..., A]` of the component ``index`` `[...]`."""
    _check(mixture)
    shape = mixture.means.shape
    _shapes.fits("index", index, shape[:-2], f"mixture.means {shape}")
    place = index[..., None, None]
    mean, log_std = (
        jnp.take_along_axis(values, place, axis=-2)[..., 0, :]
        for values in (mixture.means, mixture.log_stds)
    )
    return mean, jnp.exp(log_std)


def sample(
    key: PRNGKey,
    mixture: Mixture,
    num_samples: int,
    *,
    temperature: Array | float = 1.0,
) -> Array:
    """Draws k ~ Cat(pi), a = mu_k + temperature sigma_k eps (Eq. 76).

    Args:
      key: consumed.
      mixture: one mixture, without batch axes; ``jax.vmap`` for more.
      num_samples: number of draws, static.
      temperature: scalar, factor on the standard deviations; 1 samples the mixture
        itself.

    Returns:
      `[num_samples, A]`, unclipped.
    """
    _check_single(mixture)
    _shapes.scalar(temperature=temperature)
    component_key, noise_key = jax.random.split(key)
    # Inverse of the cumulative distribution: one uniform a draw, where Gumbel noise
    # would need K of them.
    cumulative = jnp.cumsum(jax.nn.softmax(mixture.logits))
    uniform = jax.random.uniform(component_key, (num_samples, 1), jnp.float32)
    index = jnp.sum(uniform >= cumulative[None, :-1], axis=-1)
    shape = (num_samples, mixture.means.shape[-1])
    noise = jax.random.normal(noise_key, shape, jnp.float32)
    scale = temperature * jnp.exp(mixture.log_stds[index])
    return mixture.means[index] + scale * noise


def _check(mixture: Mixture) -> None:
    shape = mixture.means.shape
    _shapes.axes("mixture.means", mixture.means, "[..., K, A]")
    _shapes.fits("mixture.logits", mixture.logits, shape[:-1], f"mixture.means {shape}")
    _shapes.fits("mixture.log_stds", mixture.log_stds, shape, f"mixture.means {shape}")


def _check_single(mixture: Mixture) -> None:
    """Of one mixture, without batch axes."""
    _check(mixture)
    _shapes.axes("mixture.logits", mixture.logits, "[K]")
