"""Which data a run trains on: the record, the best episodes, longer steps."""

import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import DataOptions, filters, transforms
from gem_jax.data.episodes import Episode
from gem_jax.training import n_step
from gem_jax.types import Transition


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"num_transitions": 0}, "num_transitions=0"),
        ({"best_share": 0.0}, "best_share=0.0"),
        ({"best_share": 1.5}, "best_share=1.5"),
        ({"best_share": float("nan")}, "best_share=nan"),
        ({"n_step": -1}, "n_step=-1"),
        ({"n_step": 1.5}, "n_step=1.5 must be a whole number"),
        ({"best_share": "0.1"}, "best_share='0.1' must be a number"),
        ({"repair": "until_terminal:2"}, "must be a tuple of names"),
        ({"repair": ("no_such",)}, "unknown --repair"),
        ({"reward_transform": "log"}, "unknown reward transform"),
    ],
)
def test_options_that_cannot_be_meant_are_refused(options, named):
    with pytest.raises(errors.UserError, match=named):
        DataOptions(**options)
    with pytest.raises(errors.UserError, match=named):
        DataOptions().override(**options)


def test_an_option_that_does_not_exist_is_named():
    with pytest.raises(errors.UserError, match="no data option n_steps; there are num"):
        DataOptions().override(n_steps=3)


def test_what_is_asked_for_overrides_and_the_rest_stays():
    numbers = transforms.given(2.0, -1.0)
    chosen = DataOptions(num_transitions=7, best_share=0.5, reward_transform=numbers)
    asked = chosen.override(n_step=3, num_transitions=None, repair=())
    assert asked == DataOptions(7, (), numbers, 0.5, 3)
    assert asked.override(best_share=1.0).best_share == 1.0


def episode(*rewards):
    size = len(rewards)
    return Episode(
        observations=np.zeros((size + 1, 1)),
        actions=np.zeros((size, 1)),
        rewards=np.array(rewards, np.float32),
        terminations=np.zeros(size, bool),
        truncations=np.zeros(size, bool),
    )


@pytest.mark.parametrize(
    ("share", "kept"), [(1.0, [0, 1, 2, 3]), (0.5, [1, 3]), (0.3, [1, 3]), (0.2, [1])]
)
def test_the_best_episodes_stay_in_their_order(share, kept):
    found = [episode(1.0), episode(2.0, 2.0), episode(0.0, 0.0), episode(4.0)]
    assert all(a is found[i] for a, i in zip(filters.best(found, share), kept))
    assert len(filters.best(found, share)) == len(kept)


@pytest.mark.parametrize(
    ("found", "share", "lines"),
    [
        (
            [episode(1.0, 0.0), episode(0.0, 2.0), episode(3.0)],
            1e-300,
            ["the best 1 of 3 episodes kept, by return"],
        ),
        (
            [episode(1.0, 0.0), episode(0.0, 2.0)],
            0.6,
            [
                "the best 2 of 2 episodes kept, by return",
                "warning: best_share=0.6 of so few episodes is all of them",
            ],
        ),
        (
            [episode(1.0, 1.0), episode(2.0), episode(0.0, 2.0)],
            0.3,
            [
                "the best 1 of 3 episodes kept, by return",
                "warning: all episodes have the return 2, so that the first recorded "
                "are kept",
            ],
        ),
        (
            [episode(1.0), episode(2.0), episode(0.0, 3.0)],
            0.3,
            [
                "the best 1 of 3 episodes kept, by return",
                "warning: most episodes are single steps, as in shuffled data, so that "
                "single rewards decide which are kept",
            ],
        ),
        ([episode(1.0), episode(2.0)], 1.0, []),
    ],
)
def test_a_share_keeps_an_episode_and_says_what_it_is_worth(found, share, lines):
    said = []
    assert filters.best(found, share, said.append)
    assert said == lines


def steps():
    """Trajectories of 4 and 2 steps; the first ends by time limit, then a terminal."""
    return Transition(
        observation=jnp.arange(6.0)[:, None],
        action=jnp.zeros((6, 1)),
        reward=jnp.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]),
        next_observation=jnp.arange(6.0)[:, None] + 1.0,
        terminal=jnp.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
        extras={"episode": jnp.array([0, 0, 0, 0, 1, 1])},
    )


def test_longer_steps_by_hand():
    spanned = n_step.span(steps(), 3, 0.5)
    expected = [1 + 1 + 1, 2 + 2 + 2, 4 + 4, 8, 16 + 16, 32]
    np.testing.assert_allclose(spanned.reward, expected)
    discounts = [0.125, 0.125, 0.25, 0.5, 0.25, 0.5]
    np.testing.assert_allclose(spanned.extras["discount"], discounts)
    assert spanned.reward.dtype == spanned.extras["discount"].dtype == np.float32
    np.testing.assert_allclose(spanned.next_observation[:, 0], [3, 4, 4, 4, 6, 6])
    np.testing.assert_array_equal(spanned.terminal, [0, 0, 0, 0, 1, 1])
    np.testing.assert_array_equal(spanned.observation, steps().observation)


def test_more_steps_than_any_trajectory_has_take_no_longer():
    spanned, whole = n_step.span(steps(), 2**31 - 1, 0.5), n_step.span(steps(), 4, 0.5)
    np.testing.assert_array_equal(spanned.reward, whole.reward)
    np.testing.assert_allclose(spanned.reward[0], 1 + 2 / 2 + 4 / 4 + 8 / 8)


def test_steps_of_one_stay_as_they_are():
    data = steps()
    assert n_step.span(data, 1, 0.5) is data


@pytest.mark.parametrize(
    ("rewards", "told"),
    [
        ([0, 0, 0, 1, 0, 0], 10),  # of five pairs one crosses episodes, three repeat
        ([0, 0, 1, 2, 0, 0], 1),  # two of four are no more than half
        ([0.5, 0.1, 0.2, 0.3, 0.9, 0.7], 1),
        ([-1, -1, -1, -1, 0, 0], 10),  # that episodes begin alike counts for nothing
    ],
)
def test_rewards_that_mostly_repeat_ask_for_longer_steps(rewards, told):
    episodes = jnp.array([0, 0, 0, 0, 1, 1])
    data = steps()._replace(reward=jnp.array(rewards), extras={"episode": episodes})
    assert n_step.told_by(data) == told
