from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import episodes, repairs, tasks, validate

TASK = tasks.get("maze2d-umaze-v1")


def _episode(steps, seed=0):
    rng = np.random.default_rng(seed)
    return episodes.Episode(
        observations=rng.normal(size=(steps + 1, 4)).astype(np.float32),
        actions=rng.uniform(-1, 1, (steps, 2)).astype(np.float32),
        rewards=rng.random(steps).astype(np.float32),
        terminations=np.zeros(steps, bool),
        truncations=np.zeros(steps, bool),
    )


def _check(found):
    lines = []
    return validate.check(found, TASK, "set", lines.append), lines


def test_good_episodes_pass_unchanged():
    found = [_episode(3), _episode(5, seed=1)]
    kept, lines = _check(found)
    assert all(a is b for a, b in zip(kept, found, strict=True)) and not lines


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("field", ["observations", "actions", "rewards"])
def test_not_finite_is_located(field, value):
    bad = _episode(4)
    getattr(bad, field)[2] = value
    with pytest.raises(errors.UserError, match=rf"episode 1: {field}\[2"):
        _check([_episode(4), bad])


@pytest.mark.parametrize("field", ["observations", "rewards"])
def test_what_float32_cannot_square_is_located(field):
    bad = _episode(4)
    getattr(bad, field)[2] = -1e30
    with pytest.raises(errors.UserError, match=rf"episode 1: {field}\[2.*is -1e\+30"):
        _check([_episode(4), bad])


def test_a_million_of_the_largest_number_have_a_finite_spread():
    """What the bound promises: squares and their sum stay within float32."""
    values = np.full(1_000_000, validate.LARGEST, np.float32)
    values[::2] *= -1
    assert np.isfinite(np.float32(np.square(values).sum(dtype=np.float32)))
    good = _episode(4)
    good.rewards[2] = good.observations[2, 1] = validate.LARGEST
    assert len(_check([good])[0]) == 1


def test_observations_one_too_short():
    bad = _episode(4)
    bad = dataclasses.replace(bad, observations=bad.observations[:-1])
    with pytest.raises(errors.UserError, match=r"\(4, 4\).*needs \(5, 4\)"):
        _check([bad])


@pytest.mark.parametrize("field", ["observations", "actions"])
def test_wrong_size_for_the_task(field):
    bad = _episode(4)
    bad = dataclasses.replace(bad, **{field: getattr(bad, field)[:, :1]})
    with pytest.raises(errors.UserError, match=f"{field} has shape.*maze2d-umaze-v1"):
        _check([bad])


@pytest.mark.parametrize("field", ["rewards", "terminations", "truncations"])
def test_wrong_length(field):
    bad = _episode(4)
    bad = dataclasses.replace(bad, **{field: getattr(bad, field)[:-1]})
    with pytest.raises(errors.UserError, match=field):
        _check([bad])


def test_wrong_length_of_infos():
    bad = dataclasses.replace(_episode(4), infos={"policy": np.zeros(2)})
    with pytest.raises(errors.UserError, match="infos/policy has 2 rows"):
        _check([bad])


@pytest.mark.parametrize("value", [-1.2, 1e30])
def test_actions_out_of_bounds(value):
    bad = _episode(4)
    bad.actions[3, 1] = value
    where = re.escape(f"actions[3, 1] is {value:.4g}, outside")
    with pytest.raises(errors.UserError, match=where):
        _check([bad])


def test_tiny_overshoot_is_clipped():
    bad = _episode(4)
    bad.actions[3, 1] = 1.0005
    kept, _ = _check([bad])
    assert kept[0].actions[3, 1] == 1.0


def test_empty_episodes_are_counted():
    kept, lines = _check([_episode(0), _episode(3), _episode(0)])
    assert len(kept) == 1 and lines == ["warning: set: skipped 2 empty episodes"]


@pytest.mark.parametrize("found", [[], [_episode(0)]])
def test_nothing_left(found):
    with pytest.raises(errors.UserError, match="no transitions"):
        _check(found)


def test_one_transition_warns():
    kept, lines = _check([_episode(1)])
    assert len(kept) == 1 and lines == ["warning: set holds a single transition"]


def test_constants_warn():
    found = _episode(4)
    found.rewards[:] = 0.0
    found.observations[:, 2] = 1.0
    _, lines = _check([found])
    assert lines == [
        "warning: set: every reward is 0",
        "warning: set: observation features [2] never change",
    ]


@pytest.mark.parametrize(
    ("actions", "warns"),
    [([0, 1, 0, 1], True), ([0, 0, 0, 0], False), ([-1, 0, 1, 1], False)]
    + [([0, 0.5, 1, 1], False)],
)
def test_actions_that_may_number_choices_warn(actions, warns):
    found = _episode(4)
    found.actions[:] = np.array(actions, np.float32)[:, None]
    _, lines = _check([found])
    assert [("whole number from 0" in line) for line in lines] == [True] * warns


def test_what_follows_the_first_terminal_can_be_left_out():
    episode = episodes.Episode(
        observations=np.arange(5, dtype=np.float32)[:, None],
        actions=np.zeros((4, 1), np.float32),
        rewards=np.array([0, 1, 1, 0], np.float32),
        terminations=np.array([False, True, True, False]),
        truncations=np.array([False, False, False, True]),
        infos={"goal": np.zeros((4, 2)), "qpos": np.zeros((5, 3))},
    )
    [short] = repairs.until_terminal([episode], TASK)
    assert len(short) == 2 and short.observations.tolist() == [[0.0], [1.0], [2.0]]
    assert short.terminations.tolist() == [False, True]
    assert len(short.infos["goal"]) == 2 and len(short.infos["qpos"]) == 3
    [whole] = repairs.until_terminal([short], TASK)
    assert len(whole) == 2


@pytest.mark.parametrize(("steps_after", "kept"), [(0, 3), (2, 5), (9, 7)])
def test_some_steps_after_the_first_terminal_may_stay(steps_after, kept):
    """The first terminal step is the third of seven, and another follows."""
    episode = episodes.Episode(
        observations=np.zeros((8, 1), np.float32),
        actions=np.zeros((7, 1), np.float32),
        rewards=np.arange(7, dtype=np.float32),
        terminations=np.array([False, False, True, True, False, False, False]),
        truncations=np.arange(7) == 6,
    )
    [mended] = repairs.apply([episode], TASK, [f"until_terminal:{steps_after}"])
    assert mended.rewards.tolist() == list(range(kept))
    assert mended.terminations.tolist() == episode.terminations[:kept].tolist()
    assert mended.truncations[-1] == (kept > 3)  # where no terminal ends it
    never = dataclasses.replace(episode, terminations=np.zeros(7, bool))
    [whole] = repairs.apply([never], TASK, [f"until_terminal:{steps_after}"])
    assert len(whole) == 7
