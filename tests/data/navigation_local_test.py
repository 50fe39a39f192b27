"""The navigation data: whole episodes of two followers, by the paper's recipe."""

from __future__ import annotations

import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import faults, inspection, tasks
from gem_jax.data.local import generate, navigation

TASK = tasks.get("navigation-v0")


@pytest.mark.parametrize(
    ("label", "steps", "episode_return", "in_box"),
    [(0, 754, -847, 94), (1, 565, -753, 189)],
)
def test_noisy_means_are_those_of_the_paper(label, steps, episode_return, in_box):
    found = navigation.walk(label, 60, np.random.default_rng(0))
    assert all(episode.terminations[-1] for episode in found)
    means = np.mean(
        [(len(e), e.rewards.sum(), (e.rewards == -2).sum()) for e in found], axis=0
    )
    np.testing.assert_allclose(means, (steps, episode_return, in_box), rtol=0.03)


def test_noisy_mean_of_the_best_route(monkeypatch):
    stitched = (*navigation.SUBGOALS[1][:3], (20, 30), navigation.navigation.GOAL)
    monkeypatch.setattr(navigation, "SUBGOALS", (stitched,))
    found = navigation.walk(0, 60, np.random.default_rng(0))
    means = np.mean([(len(e), e.rewards.sum()) for e in found], axis=0)
    np.testing.assert_allclose(means, (377, -376), rtol=0.03)
    assert not any((e.rewards == -2).any() for e in found)


def test_a_shard_holds_whole_episodes_and_at_least_what_was_asked():
    found = navigation.generate_shard(
        "navigation-v0@1", 3_000, np.random.SeedSequence(0)
    )
    lengths = [len(episode) for episode in found]
    assert sum(lengths) >= 3_000 > sum(lengths[:-1])
    for episode in found:
        assert episode.terminations[-1] and not episode.terminations[:-1].any()
        assert (episode.infos["policy"] == 1).all()
        step = np.float32(0.2) * episode.actions
        moved = np.clip(episode.observations[:-1] + step, 0.0, 30.0)
        np.testing.assert_array_equal(moved, episode.observations[1:])
        assert np.abs(episode.actions).max() <= 1.0


def test_parts_are_two_halves():
    assert navigation.parts("navigation-v0", 7) == [
        ("navigation-v0@0", 4),
        ("navigation-v0@1", 3),
    ]
    sizes = [piece[1] for piece in generate._pieces(TASK, 0, 2_000_000)]
    assert sum(sizes) == 2_000_000 and min(sizes) >= 25_000


def test_walks_that_find_no_goal_end_at_the_time_limit():
    (episode,) = navigation.walk(0, 1, np.random.default_rng(0), noise=50.0)
    assert len(episode) == TASK.horizon
    assert episode.truncations[-1] and not episode.terminations.any()


def test_auto_is_local_and_an_original_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path))
    lines = []
    found = data.load("navigation-v0", num_transitions=4_000, log=lines.append)
    assert found.provenance.source == "local" and "D4RL has no such" in lines[0]
    assert len(found.transitions.reward) == len(found.policy) == 4_000
    assert np.unique(found.policy).tolist() == [0, 1]
    assert (np.diff(found.policy) >= 0).all()
    with pytest.raises(errors.UserError, match="--source=local"):
        data.load("navigation-v0", "d4rl")


def test_the_doctor_needs_no_velocities():
    found = navigation.walk(0, 3, np.random.default_rng(0))
    verdicts = {v.fault: v for v in faults.examine(found, TASK)}
    assert not verdicts["position jumps"].found
    assert not verdicts["unfit for training"].found
    facts = inspection.describe(found, TASK)
    assert facts["largest_slip"] == 0.0 and facts["reward_counts"]["0"] == 3
    assert TASK.normalized_score(-299) == 100.0
