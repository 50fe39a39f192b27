"""Value operations by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.ops.normalize
import gem_jax.ops.schedule
import gem_jax.ops.value

normalize = programs.whole(gem_jax.ops.normalize)
schedule = programs.whole(gem_jax.ops.schedule)
value = programs.whole(gem_jax.ops.value)


def test_td_target_stops_at_terminals():
    target = value.td_target(
        jnp.array([1.0, 1.0]), jnp.array([0.0, 1.0]), jnp.array([10.0, 10.0]), 0.9
    )
    np.testing.assert_allclose(target, [10.0, 1.0])


def test_scaled_values_and_their_slope():
    q, by = jnp.array([1.0, -3.0]), jnp.array([4.0, -8.0])
    np.testing.assert_allclose(value.scaled(q), [0.5, -1.5])
    np.testing.assert_allclose(value.scaled(q, by), [1 / 6, -0.5], rtol=1e-6)
    slope = jax.grad(lambda q: value.scaled(q).sum())(q)
    np.testing.assert_allclose(slope, [0.5, 0.5])  # the size has none
    np.testing.assert_array_equal(value.scaled(jnp.zeros(2)), 0.0)


def test_expectile_loss_weighs_the_two_sides():
    loss = value.expectile_loss(jnp.array([2.0, -2.0]), 0.9)
    np.testing.assert_allclose(loss, [3.6, 0.4], rtol=1e-6)


def test_expectile_minimizer_meets_the_first_order_condition():
    samples = jax.random.normal(jax.random.key(1), (2000,))

    def loss(v):
        return jnp.mean(value.expectile_loss(samples - v, 0.8))

    slope, v = jax.jit(jax.grad(loss)), 0.0
    for _ in range(300):
        v -= 0.3 * slope(v)
    residual = np.asarray(samples) - v
    weight = np.abs(0.8 - (residual < 0))
    np.testing.assert_allclose(np.mean(weight * residual), 0.0, atol=1e-4)  # Eq. 67


def test_lower_confidence_bound_uses_the_population_std():
    q = jnp.array([[1.0, 2.0], [3.0, 2.0]])
    np.testing.assert_allclose(value.lower_confidence_bound(q, 2.0), [0.0, 2.0])


def test_ensemble_std_has_a_gradient_where_members_agree():
    grad = jax.grad(lambda q: value.ensemble_std(q).sum())(jnp.ones((3, 2)))
    np.testing.assert_array_equal(grad, np.zeros((3, 2)))


def test_advantage_weight_is_capped_without_overflow():
    weight = value.advantage_weight(jnp.array([0.0, 1.0, 1e9]), 2.0, 100.0)
    np.testing.assert_allclose(weight, [1.0, np.exp(2.0), 100.0], rtol=1e-5)


def test_standardize_by_hand_and_its_invariances():
    values = jnp.array([1.0, 2.0, 3.0, 6.0])
    z = normalize.standardize(values)
    np.testing.assert_allclose(
        z, (np.array([1, 2, 3, 6]) - 3) / np.sqrt(3.5), rtol=1e-6
    )
    np.testing.assert_allclose(normalize.standardize(values - 1e4), z, atol=1e-3)
    np.testing.assert_allclose(normalize.standardize(7.0 * values), z, rtol=1e-5)


def test_standardize_of_constant_single_and_pair():
    np.testing.assert_array_equal(normalize.standardize(jnp.full(5, -3.0)), np.zeros(5))
    np.testing.assert_array_equal(normalize.standardize(jnp.array([4.0])), [0.0])
    z = normalize.standardize(jnp.array([0.0, 5.0]))
    np.testing.assert_allclose(z, [-1.0, 1.0], rtol=1e-6)


def test_standardize_has_finite_gradients_when_constant():
    grad = jax.grad(lambda x: normalize.standardize(x)[0])(jnp.ones(3))
    assert np.isfinite(grad).all()


def test_normalizer_fit_and_apply():
    observations = (
        np.random.default_rng(0).normal(3.0, 2.0, (500, 2)).astype(np.float32)
    )
    normalizer = normalize.fit_normalizer(jnp.asarray(observations))
    normalized = normalizer(jnp.asarray(observations))
    expected = (observations - observations.mean(0)) / (observations.std(0) + 1e-3)
    np.testing.assert_allclose(normalized, expected, rtol=1e-4, atol=1e-5)
    identity = normalize.identity_normalizer(2)
    np.testing.assert_allclose(identity(observations), observations, rtol=1e-6)


def test_cosine_ends_middle_and_after():
    t = jnp.array([0, 50, 100, 1000])
    np.testing.assert_allclose(
        schedule.cosine(t, 3.0, 1.0, 100.0), [3.0, 2.0, 1.0, 1.0], rtol=1e-6
    )


def test_standardize_counts_finite_numbers_only():
    values = jnp.array([1.0, jnp.nan, 3.0, -jnp.inf, 100.0])
    counted = jnp.array([True, True, True, True, False])
    z = normalize.standardize(values, counted)  # mean 2, std 1
    np.testing.assert_array_equal(z, [-1.0, np.nan, 1.0, np.nan, np.nan])
    np.testing.assert_array_equal(
        normalize.standardize(jnp.array([[jnp.nan, 5.0], [jnp.nan, jnp.nan]])),
        [[np.nan, 0.0], [np.nan, np.nan]],
    )
    for alone in ([False] * 5, [False] * 4 + [True]):
        z = normalize.standardize(values, jnp.array(alone))
        np.testing.assert_array_equal(z, np.where(alone, 0.0, np.nan))


def test_standardize_by_hand_over_all_magnitudes():
    expected = np.array([1.0, -2.0, 1.0]) / np.sqrt(2.0)
    for size in (1e-5, 1.0, 1e30):
        z = normalize.standardize(jnp.array([0.0, -3.0, 0.0]) * size)
        np.testing.assert_allclose(z, expected, rtol=1e-5)
    np.testing.assert_allclose(  # below the floor of 1e-6
        normalize.standardize(jnp.array([1e-7, -1e-7])), [0.1, -0.1], rtol=1e-5
    )
    np.testing.assert_allclose(
        normalize.standardize(jnp.array([1e-30, -1e-30])), [0.0, 0.0], atol=1e-6
    )


def test_standardize_divides_by_no_less_than_a_millionth():
    """Two numbers 2e-7 apart have a std of 1e-7, a tenth of the floor."""
    z = normalize.standardize(jnp.array([0.0, 2e-7]))
    np.testing.assert_allclose(z, [-0.1, 0.1], rtol=1e-5)
    z = normalize.standardize(jnp.array([0.0, 2e-3]))
    np.testing.assert_allclose(z, [-1.0, 1.0], rtol=1e-5)


@pytest.mark.parametrize("horizon", [0.0, 1.0])
def test_cosine_over_no_step_and_over_one(horizon):
    found = schedule.cosine(jnp.array([0, 1, 2]), 3.0, 1.0, horizon)
    np.testing.assert_allclose(found, [3.0, 1.0, 1.0], rtol=1e-6)


def test_identity_normalizer_divides_by_one():
    """The fitted ones divide by std + 1e-3."""
    identity = normalize.identity_normalizer(2)
    np.testing.assert_array_equal(identity.mean, [0.0, 0.0])
    np.testing.assert_allclose(identity.std + 1e-3, [1.0, 1.0], rtol=1e-6)


def test_standardize_works_row_by_row(key):
    rows = jax.random.normal(key, (3, 4, 5))
    found = normalize.standardize(rows)
    for place in [(0, 0), (2, 3)]:
        np.testing.assert_allclose(
            found[place], normalize.standardize(rows[place]), rtol=1e-5, atol=1e-6
        )
