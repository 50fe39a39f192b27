"""Any proposer, and every way to choose: best, mean of the best, softmax."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.inference
from gem_jax.ops import mixture

inference = programs.whole(gem_jax.inference)

SET = jnp.array([[0.0, 0.0], [0.1, 0.2], [0.3, 0.4], [0.5, 0.6]])


def circle(key, count):
    angle = jax.random.uniform(key, (count,), maxval=2 * jnp.pi)
    return 2.0 * jnp.stack([jnp.cos(angle), jnp.sin(angle)], axis=1)


def test_any_function_proposes(key):
    anchor = jnp.array([0.25, -0.25])
    proposed = jax.jit(lambda key: inference.propose(key, circle, 50, anchor=anchor))(
        key
    )
    np.testing.assert_array_equal(proposed[0], anchor)
    expected = np.clip(circle(key, 50), -1 + 1e-6, 1 - 1e-6)
    np.testing.assert_allclose(proposed[1:], expected, rtol=1e-6)


def test_without_samples_a_function_is_not_asked(key):
    def never(key, count):
        raise AssertionError

    proposed = inference.propose(key, never, 0, anchor=jnp.ones(2))
    assert proposed.shape == (1, 2)


@pytest.mark.parametrize(
    ("source", "temperature", "named"),
    [
        (lambda key, count: jnp.zeros((count + 1, 2)), 1.0, r"\[4, A\] samples"),
        (lambda key, count: jnp.zeros(count), 1.0, r"got shape \(4,\)"),
        (circle, 0.5, "temperature is for a mixture"),
        (circle, jnp.float32(1.0), "temperature is for a mixture"),
    ],
)
def test_functions_that_do_not_fit_are_refused(key, source, temperature, named):
    with pytest.raises(ValueError, match=named):
        inference.propose(key, source, 4, anchor=None, temperature=temperature)


@pytest.mark.parametrize("anchor", [jnp.zeros(3), jnp.zeros((1, 2)), jnp.zeros(())])
def test_an_anchor_of_another_shape_is_refused(key, anchor):
    with pytest.raises(ValueError, match="anchor must be"):
        inference.propose(key, circle, 4, anchor=anchor)


def test_softmax_draws_by_the_scores(key):
    total = jnp.array([1e6, 1e6 + 2.0, 1e6 + 1.0, -jnp.inf])
    keys = jax.random.split(key, 20_000)

    def choose(key, temperature):
        chosen = inference.select(SET, total, temperature=temperature, key=key)
        return chosen.best_index

    choose_all = jax.jit(jax.vmap(choose, in_axes=(0, None)))
    for temperature in (0.5, 4.0):
        share = np.bincount(choose_all(keys, temperature), minlength=4) / 20_000
        weight = np.exp(np.array([0.0, 2.0, 1.0, -np.inf]) / temperature)
        np.testing.assert_allclose(share, weight / weight.sum(), atol=0.015)


def test_the_mean_of_several_draws(key):
    total = jnp.zeros((3, 4)).at[:, 0].set(jnp.nan)
    chosen = inference.select(
        jnp.stack([SET] * 3), total, top_m=5, temperature=1.0, key=key
    )
    assert chosen.action.shape == (3, 2) and chosen.best_index.shape == (3,)
    assert (np.asarray(chosen.best_index) > 0).all()  # the NaN is never drawn
    np.testing.assert_array_equal(chosen.best_action, SET[chosen.best_index])
    # Five draws of three candidates: a mean of fifths.
    steps = (np.asarray(chosen.action[:, 0]) - 0.1) / 0.2 * 5
    np.testing.assert_allclose(steps, np.round(steps), atol=1e-4)
    assert len(np.unique(np.round(steps))) > 1


def test_a_cold_softmax_is_the_best_and_a_set_of_nothing_the_first(key):
    total = jnp.array([[0.0, 3.0, 2.0, 1.0], [-jnp.inf] * 4])
    chosen = inference.select(
        jnp.stack([SET, SET]), total, temperature=1e-4, key=key, top_m=2
    )
    np.testing.assert_array_equal(chosen.best_index, [1, 0])
    np.testing.assert_array_equal(chosen.action, SET[jnp.array([1, 0])])
    np.testing.assert_array_equal(chosen.all_bad, [False, True])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"temperature": 1.0}, "go together"),
        ({"key": jax.random.key(0)}, "go together"),
        ({"temperature": 0.0, "key": jax.random.key(0)}, "must be positive"),
        ({"temperature": np.float32(-1), "key": jax.random.key(0)}, "be positive"),
        ({"temperature": np.inf, "key": jax.random.key(0)}, "must be positive"),
        ({"top_m": 5}, r"1\.\.4"),
        ({"top_m": 0, "temperature": 1.0, "key": jax.random.key(0)}, "top_m"),
    ],
)
def test_ways_to_choose_that_are_none_are_refused(changes, named):
    with pytest.raises(ValueError, match=named):
        inference.select(SET, jnp.zeros(4), **changes)


def test_denoised_samples_are_component_means_where_components_lie_apart(key):
    """Far apart, a sample's own component alone answers."""
    means = jnp.array([[-0.5, 0.0], [0.5, 0.2]])
    source = mixture.Mixture(jnp.zeros(2), means, jnp.full((2, 2), -3.0))
    plain, denoised = (
        inference.propose(key, source, 32, anchor=None, denoise_steps=steps)
        for steps in (0, 1)
    )
    nearest = means[(plain[:, 0] > 0).astype(int)]
    assert (jnp.abs(plain - nearest).max(axis=0) > 0.02).all()
    np.testing.assert_allclose(denoised, nearest, atol=1e-6)
    with pytest.raises(ValueError, match="denoise_steps is for a mixture"):
        inference.propose(key, circle, 4, anchor=None, denoise_steps=1)
