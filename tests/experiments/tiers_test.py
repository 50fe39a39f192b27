"""The rule that picks policies for the local locomotion data, by hand."""

import numpy as np

from experiments.behaviors import tiers


def test_the_medium_policy_is_near_its_score_however_it_plays():
    sampled = np.array([[10.0, 10.0], [40.0, 40.0], [42.0, 42.0], [90.0, 90.0]])
    mean = np.array([[10.0, 10.0], [45.0, 43.0], [80.0, 80.0], [95.0, 95.0]])
    # The third hits the score by its noise alone: its mean action is far better.
    assert tiers.pick_medium(sampled, mean, 42.0) == 1


def test_the_medium_policy_is_steady():
    """Of two with the right mean, the one whose single episodes lie near it."""
    sampled = np.array([[2.0, 82.0], [50.0, 48.0]])
    assert tiers.pick_medium(sampled, sampled, 42.0) == 1


def test_kept_policies_are_spread_over_training_and_hold_the_named_ones():
    steps = np.arange(300)
    kept = tiers.spread(steps, medium=100, expert=257)
    assert kept[0] == 0 and kept[-1] == 299 and {100, 257} <= set(kept)
    assert len(kept) == 2 * tiers.REPLAY_POLICIES + 2
    assert np.diff([k for k in kept if k <= 100]).tolist() == [5] * 20
    assert tiers.spread(np.arange(3), medium=1, expert=2) == [0, 1, 2]


def test_scores_are_d4rls():
    low, high = (tiers.normalized("hopper", r) for r in (-20.272305, 3234.3))
    np.testing.assert_allclose([low, high], [0.0, 100.0], atol=1e-6)
