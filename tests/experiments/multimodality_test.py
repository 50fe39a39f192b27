from __future__ import annotations

import math

import numpy as np
import pytest

from experiments.lib import multimodality
from gem_jax.data import episodes

_STD = 0.2


@pytest.fixture(autouse=True)
def small(monkeypatch):
    monkeypatch.setattr(multimodality, "_HIDDEN_SIZES", (16, 16))


def _episodes(rng, centers):
    found = []
    for _ in range(20):
        steps = 500
        centers_taken = rng.choice(centers, size=(steps, 1))
        last = np.arange(steps) == steps - 1
        found.append(
            episodes.Episode(
                observations=rng.normal(size=(steps + 1, 3)).astype(np.float32),
                actions=rng.normal(centers_taken, _STD).astype(np.float32),
                rewards=np.zeros(steps, np.float32),
                terminations=np.zeros(steps, bool),
                truncations=last,
                infos={},
            )
        )
    return found


def _entropy(std):
    return 0.5 * math.log(2.0 * math.pi * math.e * std**2)


def test_gap_is_what_two_modes_save():
    found = _episodes(np.random.default_rng(0), [-0.6, 0.6])
    nll = multimodality.held_out_nll(found, num_steps=500, learning_rate=3e-3)
    one = _entropy(math.hypot(0.6, _STD))
    two = math.log(2.0) + _entropy(_STD)
    np.testing.assert_allclose(nll["1"], one, atol=0.1)
    np.testing.assert_allclose(nll["gap"], one - two, atol=0.1)


def test_policies_that_acted_one_after_the_other_are_all_tested(monkeypatch):
    """A wide policy and then a narrow one; few of the held-out steps are tested."""
    rng = np.random.default_rng(2)
    found = _episodes(rng, [-0.6, 0.6]) + _episodes(rng, [0.0])
    all_tested = multimodality.held_out_nll(found, num_steps=200)
    monkeypatch.setattr(multimodality, "_MAX_HELD_OUT", 500)
    some_tested = multimodality.held_out_nll(found, num_steps=200)
    np.testing.assert_allclose(some_tested["1"], all_tested["1"], atol=0.1)


def test_there_is_no_gap_with_one_mode():
    found = _episodes(np.random.default_rng(1), [0.2])
    assert (
        abs(multimodality.held_out_nll(found, num_steps=500, learning_rate=3e-3)["gap"])
        < 0.1
    )
