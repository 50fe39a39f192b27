"""Candidates that follow a score: uphill, by steps of one length, inside the box."""

import jax
import jax.numpy as jnp
import numpy as np
import programs

import gem_jax.inference

inference = programs.whole(gem_jax.inference)

BEST = jnp.array([0.5, -0.2])


def peak(action):
    return -jnp.sum((action - BEST) ** 2)


def refine(candidates, objective, **options):
    total = jax.vmap(objective)(candidates)
    sizes = dict(num_refined=2, num_steps=1, step_size=0.1) | options
    return inference.refine(candidates, total, objective, **sizes)


def test_the_best_candidates_take_a_step_towards_the_peak():
    candidates = jnp.array([[0.5, 0.8], [-0.9, -0.9], [0.1, -0.2], [-0.9, 0.9]])
    moved = refine(candidates, peak)
    # Best first: 0.4 and 1.0 away from the peak, along one axis each.
    np.testing.assert_allclose(moved, [[0.2, -0.2], [0.5, 0.7]], atol=1e-6)
    again = refine(candidates, peak, num_refined=1, num_steps=3)
    np.testing.assert_allclose(again, [[0.4, -0.2]], atol=1e-6)


def test_steps_do_not_know_the_units_of_the_score():
    candidates = jnp.array([[0.5, 0.8], [0.1, -0.2]])
    small = refine(candidates, lambda action: 1e-4 * peak(action))
    large = refine(candidates, lambda action: 1e4 * peak(action))
    np.testing.assert_allclose(small, large, rtol=1e-5)


def test_steps_end_inside_the_box_and_a_flat_score_leads_nowhere():
    candidates = jnp.array([[0.95, 0.0]])
    moved = refine(candidates, lambda action: action[0], step_size=0.3)
    assert moved.shape == (1, 2) and 0.9999 < moved[0, 0] < 1.0
    stayed = refine(candidates, lambda action: 0.0 * action[0])
    np.testing.assert_array_equal(stayed, candidates)
