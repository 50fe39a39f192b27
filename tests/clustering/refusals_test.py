"""What the clusterer refuses, and what it warns of and survives."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import clustering, errors
from gem_jax.testing import trajectories

SMALL = clustering.Settings(
    hidden_sizes=(16, 16), batch_size=64, biased_epochs=2, uniform_epochs=3, em_epochs=2
)


def test_more_clusters_than_trajectories_are_refused():
    data, _ = trajectories.two_policies(2, 10)
    settings = dataclasses.replace(SMALL, num_clusters=3)
    with pytest.raises(errors.UserError, match="3 clusters need .*, got 2"):
        clustering.fit(jax.random.key(0), data, settings)


def test_data_without_episode_ends_are_refused():
    data, _ = trajectories.two_policies(1, 10)
    with pytest.raises(errors.UserError, match="ends of the episodes"):
        clustering.fit(jax.random.key(0), data, SMALL)


@pytest.mark.parametrize("episode", [[1, 1, 2], [0, 2, 2], [0, 1, 0]])
def test_trajectories_out_of_order_are_refused(episode):
    data = clustering.Trajectories(jnp.zeros((3, 1)), jnp.zeros((3, 1)), episode)
    with pytest.raises(errors.UserError, match="follow each other"):
        clustering.fit(jax.random.key(0), data, SMALL)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"observation": jnp.full((6, 3), jnp.nan)}, "must be finite"),
        ({"observation": jnp.zeros(6)}, r"must be \[steps, size\]"),
        ({"episode": np.repeat([0.0, 1.0], 3)}, "must be integers"),
    ],
    ids=["nan", "flat", "real numbers"],
)
def test_unfit_arrays_are_refused(change, message):
    data = clustering.Trajectories(
        jnp.zeros((6, 3)), jnp.zeros((6, 2)), np.repeat([0, 1], 3)
    )
    with pytest.raises(errors.UserError, match=message):
        clustering.fit(jax.random.key(0), data._replace(**change), SMALL)


def test_no_steps_are_refused():
    data = clustering.Trajectories(jnp.zeros((0, 1)), jnp.zeros((0, 1)), [])
    with pytest.raises(errors.UserError, match="at least one"):
        clustering.fit(jax.random.key(0), data, SMALL)


@pytest.mark.parametrize(
    ("data", "warning"),
    [
        (trajectories.same_steps(5, 8), "not identifiable"),
        (trajectories.two_policies(30, 6)[0], None),
        (
            trajectories.two_policies(30, 6)[0]._replace(episode=jnp.arange(30)),
            "every trajectory has one step",
        ),
    ],
    ids=["identical", "fine", "length one"],
)
def test_what_means_nothing_is_told_and_stays_finite(data, warning):
    size = len(data.episode)
    data = jax.tree.map(lambda leaf: leaf[:size], data)
    lines = []
    fit = clustering.fit(jax.random.key(0), data, SMALL, log=lines.append)
    leaves = jax.tree.leaves((fit.state, fit.posterior))
    assert all(np.isfinite(leaf).all() for leaf in leaves)
    told = [line for line in lines if "fell into" not in line]
    assert [warning in line for line in told] == [True] * (warning is not None)
    empty = 2 - len(np.unique(fit.assignment))
    assert len(lines) - len(told) == empty


def test_no_clusters_are_refused():
    data, _ = trajectories.two_policies(4, 20)
    with pytest.raises(errors.UserError, match="num_clusters must be at least 1"):
        clustering.check(*map(np.asarray, data), 0)


EVEN = np.repeat([0, 1], 3)
SAME, OTHER = np.tile(np.arange(3.0), 2), np.arange(6.0)


@pytest.mark.parametrize(
    ("observation", "action", "episode", "num_clusters", "told"),
    [
        (SAME, SAME, EVEN, 2, "identical"),
        (SAME, OTHER, EVEN, 2, None),  # one state sequence, two policies
        (OTHER, SAME, EVEN, 2, None),
        (OTHER, OTHER, EVEN, 1, None),
        (np.zeros(6), np.zeros(6), np.repeat([0, 1], [2, 4]), 2, None),  # lengths
        (OTHER, OTHER, np.arange(6), 6, "one step"),
        (OTHER, OTHER, np.minimum(np.arange(6), 4), 5, None),  # the last has two
        (OTHER, OTHER, np.arange(6), 1, None),
        (OTHER, OTHER, np.zeros(6, int), 1, "there is one trajectory"),
        (SAME[:1], SAME[:1], EVEN[:1], 1, "there is one trajectory"),
    ],
)
def test_what_is_told(observation, action, episode, num_clusters, told):
    lines = []
    clustering.check(
        observation[:, None], action[:, None], episode, num_clusters, lines.append
    )
    assert len(lines) == (told is not None) and all(told in line for line in lines)


@pytest.mark.parametrize(
    ("observation", "action", "episode", "message"),
    [
        (OTHER[:5, None], OTHER[:, None], EVEN, "got 5, 6, 6"),
        (OTHER[:, None], OTHER[:5, None], EVEN, "got 6, 5, 6"),
        (OTHER[:, None], OTHER[:, None], EVEN[:5], "got 6, 6, 5"),
        (OTHER[:, None], OTHER, EVEN, r"got \(6, 1\) and \(6,\)"),
        (OTHER[:, None], np.full((6, 1), np.inf), EVEN, "must be finite"),
        (OTHER[:, None], OTHER[:, None], EVEN[:, None], r"integers \[steps\], got"),
        (OTHER[:, None], OTHER[:, None], EVEN + 1, "follow each other"),
        (OTHER[:, None], OTHER[:, None], EVEN - 1, "follow each other"),
        (OTHER[:, None], OTHER[:, None], -EVEN, "follow each other"),
    ],
)
def test_what_is_refused(observation, action, episode, message):
    with pytest.raises(errors.UserError, match=message):
        clustering.check(observation, action, episode, 2, print)
