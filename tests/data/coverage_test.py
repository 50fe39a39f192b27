"""Measures of a data card, beside values worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from gem_jax.data import coverage, episodes


def _episode(observations):
    steps = len(observations) - 1
    return episodes.Episode(
        observations=np.asarray(observations, np.float32),
        actions=np.zeros((steps, 1), np.float32),
        rewards=np.zeros(steps, np.float32),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
    )


def _states(states):
    return [_episode(np.concatenate([states, states[-1:]]))]


def test_effective_rank():
    x, y = np.meshgrid(np.arange(50.0), np.arange(50.0))
    square = np.stack([x.ravel(), y.ravel()], axis=1)
    square *= [1.0, 100.0]  # units do not matter
    assert coverage.measure(_states(square))["rank"] == pytest.approx(2.0, abs=1e-6)
    # Three features that are one, scaled and shifted, and one that never changes.
    line = np.stack([x.ravel(), 3 * x.ravel(), 5 - x.ravel(), 0 * x.ravel()], axis=1)
    measured = coverage.measure(_states(line))
    assert measured["features"] == 3
    assert measured["rank"] == pytest.approx(1.0, abs=1e-4)
    # Of correlation r the eigenvalues are 1 + r and 1 - r.
    rng = np.random.default_rng(0)
    a, b = rng.normal(size=(2, 200_000))
    pair = np.stack([a, 0.6 * a + 0.8 * b], axis=1)
    shares = np.array([0.8, 0.2])
    expected = np.exp(-np.sum(shares * np.log(shares)))
    assert coverage.measure(_states(pair))["rank"] == pytest.approx(expected, abs=0.01)


def test_the_principal_plane_comes_in_order():
    x, y = np.random.default_rng(0).normal(size=(2, 1000))
    plane, shares = coverage.principal_plane(np.stack([x, y, -2 * x, 0 * x], axis=1))
    assert plane.shape == (1000, 2) and len(shares) == 3
    np.testing.assert_allclose(shares, [2 / 3, 1 / 3, 0], atol=0.03)
    np.testing.assert_allclose(plane.var(axis=0), 3 * shares[:2], rtol=1e-6)


def test_cells():
    # Uniform over a rectangle, whose axes are the principal ones: every cell.
    p, q = np.random.default_rng(0).uniform(size=(2, 50_000))
    full = np.stack([2 * p + q, 2 * p - q], axis=1)
    assert coverage.measure(_states(full))["cells"] == 1.0
    # Over a circle's rim: few.
    angle = np.linspace(0, 2 * np.pi, 50_000)
    rim = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    assert 0.05 < coverage.measure(_states(rim))["cells"] < 0.2
    # One feature: cells of a line; all at two places: two of thirty.
    assert coverage.measure(_states(p[:, None]))["cells"] == 1.0
    two = np.repeat([[0.0], [1.0]], 500, axis=0)
    assert coverage.measure(_states(two))["cells"] == pytest.approx(2 / 30)


def test_what_is_not_finite_or_never_changes_does_not_count():
    still = _states(np.ones((5, 3)))
    assert coverage.measure(still) == {"features": 0, "rank": None, "cells": None}
    states = np.random.default_rng(0).normal(size=(100, 3))
    bad = states.copy()
    bad[7] = np.inf
    without = coverage.measure(_states(np.delete(states, 7, axis=0)))
    assert coverage.measure(_states(bad)) == without
    nothing = _states(np.full((5, 3), np.nan))
    assert coverage.measure(nothing)["rank"] is None


NONE = np.full(11, np.nan)


@pytest.mark.parametrize(
    ("returns", "scores", "level"),
    [
        (np.linspace(95, 105, 11), np.linspace(85, 95, 11), "expert"),
        (np.linspace(95, 105, 11), np.linspace(35, 45, 11), "one level"),
        (np.linspace(0, 100, 11), np.linspace(50, 110, 11), "mixed"),
        (np.linspace(95, 105, 11), NONE, "one level"),
        (np.linspace(-105, -95, 11), NONE, "one level"),
        (np.linspace(50, 150, 11), NONE, "mixed"),
        (np.array([0.0, 1.0] * 5 + [1.0]), NONE, "mixed"),
        (np.ones(1), np.ones(1), "unknown"),
    ],
)
def test_level(returns, scores, level):
    found, rule = coverage.level(returns, scores)
    assert found == level and "\n" not in rule
