"""Value learning on arrays: targets, expectiles, ensembles, advantage weights.

Arrays of one operation have the same shape, settings are scalars, traced or not; others
raise ``ValueError``.
"""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp

from gem_jax.ops import _shapes
from gem_jax.types import Array

_HALVINGS = 30  # of an interval, beyond which float32 sees no difference
_LEAST_RESIDUAL = 1e-6
_LEAST_SIZE = 1e-6  # values that are all 0 have none
_STRAIGHT = 5.0  # where an exponential goes on as its tangent


def scaled(q: Array, by: Array | None = None) -> Array:
    """Values `[B]` over the mean size of these or others, which has no gradient.

    So that a weight of cloning beside them means the same for any rewards (TD3+BC,
    Eq. 5).
    """
    by = q if by is None else by
    _shapes.same(q=q, by=by)
    size = jnp.mean(jnp.abs(by))
    return q / jnp.maximum(jax.lax.stop_gradient(size), _LEAST_SIZE)


def td_target(
    reward: Array, terminal: Array, next_value: Array, discount: Array | float
) -> Array:
    """y = r + discount (1 - d) V(s'), `[...]` (Eq. 60).

    The discount is one number, or one for each target.
    """
    _shapes.same(reward=reward, terminal=terminal, next_value=next_value)
    if jnp.shape(discount):
        _shapes.same(reward=reward, discount=jnp.asarray(discount))
    return reward + discount * (1.0 - terminal) * next_value


def expectile_loss(residual: Array, expectile: float) -> Array:
    """|tau - 1{u < 0}| u^2 elementwise, u = target - prediction (Eq. 65, 66)."""
    _shapes.scalar(expectile=expectile)
    weight = jnp.where(residual < 0.0, 1.0 - expectile, expectile)
    return weight * residual**2


def quantile_loss(residual: Array, quantile: float) -> Array:
    """|tau - 1{u < 0}| |u| elementwise (IDQL, section 4.2)."""
    _shapes.scalar(quantile=quantile)
    weight = jnp.where(residual < 0.0, 1.0 - quantile, quantile)
    return weight * jnp.abs(residual)


def exponential_loss(residual: Array, temperature: float) -> Array:
    """exp(u / T) - u / T elementwise (IDQL, section 4.2); straight beyond u / T = 5."""
    _shapes.scalar(temperature=temperature)
    return _linex(residual / temperature)


@jax.custom_jvp
def _linex(scaled: Array) -> Array:
    bounded = jnp.minimum(scaled, _STRAIGHT)
    return jnp.exp(bounded) * (1.0 + scaled - bounded) - scaled


# exp(u) - 1 by its terms would round to 0 near u = 0.
_linex.defjvps(
    lambda tangent, _, scaled: jnp.expm1(jnp.minimum(scaled, _STRAIGHT)) * tangent
)


def minimizer(loss: Callable[[Array], Array], values: Array) -> Array:
    """The v of least ``sum loss(values - v)``: mean, expectile, quantile and the like.

    Args:
      loss: convex, elementwise, with its minimum at 0.
      values: `[N]`; those that are not finite do not count.

    Returns:
      `[]`, between the least and the greatest value, to float32's precision; NaN
      where none counts.
    """
    _shapes.axes("values", values, "[N]")
    counts = jnp.isfinite(values)
    slope = jax.vmap(jax.grad(loss))

    def halve(bounds: tuple[Array, Array], _: None) -> tuple[tuple[Array, Array], None]:
        low, high = bounds
        middle = 0.5 * (low + high)
        slopes = jnp.sum(slope(values - middle), where=counts)
        above = slopes > 0.0  # the minimum lies higher
        return (jnp.where(above, middle, low), jnp.where(above, high, middle)), None

    low = jnp.min(values, initial=jnp.inf, where=counts)
    bounds = low, jnp.max(values, initial=-jnp.inf, where=counts)
    (low, high), _ = jax.lax.scan(halve, bounds, None, length=_HALVINGS)
    return 0.5 * (low + high)


def implicit_weight(loss: Callable[[Array], Array], q: Array) -> Array:
    """|f'(Q - V)| / |Q - V| of each action (IDQL, Eq. 8): the actor behind a value.

    V is what the loss f makes of these actions' values, as samples of the behavior: a
    mean under these weights is V. Where f has a kink at 0, as the quantile's, the value
    that V coincides with takes nearly all the weight.

    Args:
      loss: f, convex, elementwise, with its minimum at 0.
      q: `[N]`.

    Returns:
      `[N]`, at least 0, not normalized; NaN where a value is not finite, which has no
      part in V.
    """
    _shapes.axes("q", q, "[N]")
    residual = q - minimizer(loss, q)
    # At V itself, what it is just above.
    near = jnp.abs(residual) < _LEAST_RESIDUAL
    residual = jnp.where(near, _LEAST_RESIDUAL, residual)
    weight = jax.vmap(jax.grad(loss))(residual) / residual
    return jnp.where(jnp.isfinite(q), weight, jnp.nan)


def lower_confidence_bound(q_values: Array, kappa: Array | float) -> Array:
    """mean_e Q_e - kappa std_e Q_e with the population std (Eq. 3, 8, 9).

    Args:
      q_values: `[E, ...]`.
      kappa: broadcasts against `[...]`.

    Returns:
      `[...]`, in units of return.
    """
    _shapes.axes("q_values", q_values, "[E, ...]")
    reason = f"q_values {q_values.shape}"
    _shapes.broadcasts("kappa", kappa, q_values.shape[1:], reason)
    return jnp.mean(q_values, axis=0) - kappa * ensemble_std(q_values)


def ensemble_std(q_values: Array) -> Array:
    """Population std over members, `[E, ...]` to `[...]`; flat where it is zero."""
    _shapes.axes("q_values", q_values, "[E, ...]")
    variance = jnp.var(q_values, axis=0)
    positive = variance > 0.0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, variance, 1.0)), 0.0)


def clipped_surrogate(log_ratio: Array, advantage: Array, clip: float) -> Array:
    """min(rho A, clip(rho, 1 - eps, 1 + eps) A) elementwise (PPO; EMPO Eq. 14).

    Args:
      log_ratio: log of rho, the new density of the action over the old.
      advantage: A, without gradient.
      clip: eps.
    """
    _shapes.same(log_ratio=log_ratio, advantage=advantage)
    _shapes.scalar(clip=clip)
    ratio = jnp.exp(log_ratio)
    bounded = jnp.clip(ratio, 1.0 - clip, 1.0 + clip)
    return jnp.minimum(ratio * advantage, bounded * advantage)


def advantage_weight(advantage: Array, beta: float, max_weight: float) -> Array:
    """w = min(exp(beta A), w_max) elementwise (Eq. 41, 69)."""
    _shapes.scalar(beta=beta, max_weight=max_weight)
    # The exponent is bounded, not only its exponential: exp overflows to inf, and inf
    # times a zero gradient is NaN.
    return jnp.exp(jnp.minimum(beta * advantage, jnp.log(max_weight)))


def is_capped(advantage: Array, beta: float, max_weight: float) -> Array:
    """Whether ``advantage_weight`` is at its cap, elementwise."""
    _shapes.scalar(beta=beta, max_weight=max_weight)
    return beta * advantage >= jnp.log(max_weight)
