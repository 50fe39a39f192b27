"""Which steps of a trajectory an E-step looks at."""

import functools

import jax
import numpy as np
import pytest

from gem_jax.clustering import likelihood


@functools.partial(jax.jit, static_argnums=(1, 2), static_argnames="spread")
def some_steps(*arguments, spread):
    return likelihood.some_steps(*arguments, spread=spread)


@pytest.mark.parametrize("turn", [0, 1, 500])
def test_windows_stay_inside_their_trajectories(turn):
    episode = np.repeat(np.arange(4), [9, 1, 4, 6])
    steps = some_steps(episode, 4, 4, turn, spread=False)
    row, weight = (np.asarray(leaf).reshape(4, 4) for leaf in steps)
    np.testing.assert_allclose(weight, [[2.25] * 4, [1, 0, 0, 0], [1] * 4, [1.5] * 4])
    np.testing.assert_array_equal(
        episode[row], np.arange(4)[:, None] + np.zeros((4, 4))
    )
    assert (np.diff(row[[0, 2, 3]], axis=1) == 1).all() and row[2, 0] == 10
    assert (np.diff(np.asarray(steps.row)) >= 0).all()


def test_steps_may_be_spread_over_their_trajectories():
    episode = np.repeat(np.arange(3), [11, 1, 5])
    seen = set()
    for turn in range(20):
        steps = some_steps(episode, 3, 4, turn, spread=True)
        row, weight = (np.asarray(leaf).reshape(3, 4) for leaf in steps)
        np.testing.assert_allclose(weight, [[2.75] * 4, [1, 0, 0, 0], [1.25] * 4])
        assert (np.diff(row[0]) == 2).all() and (np.diff(row[2]) == 1).all()
        assert (episode[row] == np.arange(3)[:, None]).all()
        seen |= set(row[0].tolist())
    assert seen == set(range(11))
