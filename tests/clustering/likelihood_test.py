"""Which steps of a trajectory an E-step looks at."""

import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.clustering import likelihood


@pytest.mark.parametrize("turn", [0, 1, 500])
def test_windows_stay_inside_their_trajectories(turn):
    episode = jnp.repeat(jnp.arange(4), jnp.array([9, 1, 4, 6]))
    steps = likelihood.some_steps(episode, 4, 4, turn, spread=False)
    row, weight = (np.asarray(leaf).reshape(4, 4) for leaf in steps)
    np.testing.assert_allclose(weight, [[2.25] * 4, [1, 0, 0, 0], [1] * 4, [1.5] * 4])
    np.testing.assert_array_equal(
        np.asarray(episode)[row], np.arange(4)[:, None] + np.zeros((4, 4))
    )
    assert (np.diff(row[[0, 2, 3]], axis=1) == 1).all() and row[2, 0] == 10
    assert (np.diff(steps.row) >= 0).all()


def test_steps_may_be_spread_over_their_trajectories():
    episode = jnp.repeat(jnp.arange(3), jnp.array([11, 1, 5]))
    seen = set()
    for turn in range(20):
        steps = likelihood.some_steps(episode, 3, 4, turn, spread=True)
        row, weight = (np.asarray(leaf).reshape(3, 4) for leaf in steps)
        np.testing.assert_allclose(weight, [[2.75] * 4, [1, 0, 0, 0], [1.25] * 4])
        assert (np.diff(row[0]) == 2).all() and (np.diff(row[2]) == 1).all()
        assert (np.asarray(episode)[row] == np.arange(3)[:, None]).all()
        seen |= set(row[0].tolist())
    assert seen == set(range(11))
