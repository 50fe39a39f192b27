"""Returns by hand, and against loops over each trajectory in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.ops.returns
from gem_jax.ops import value as value_ops

returns = programs.whole(gem_jax.ops.returns)


def test_last_steps():
    episode = jnp.array([0, 0, 1, 2, 2])
    np.testing.assert_array_equal(returns.last_steps(episode), [0, 1, 1, 0, 1])


def test_a_trajectory_ends_at_a_terminal_too():
    episode = jnp.array([0, 0, 0, 1, 1])
    terminal = jnp.array([1.0, 0.0, 0.0, 0.0, 1.0])
    np.testing.assert_array_equal(returns.ends(episode, terminal), [1, 0, 1, 0, 1])


def test_the_return_of_the_last_step_is_its_reward():
    reward = jnp.array([1.0, 2.0, 4.0, 8.0])
    stop = jnp.array([False, True, False, True])
    found = returns.monte_carlo(reward, stop, 0.5)
    np.testing.assert_allclose(found, [2.0, 2.0, 8.0, 8.0])


def test_n_step_by_hand():
    reward = jnp.array([1.0, 2.0, 4.0, 8.0, 16.0])
    stop = jnp.array([False, False, True, False, True])
    total, length, row = returns.n_step(reward, stop, 0.5, 2)
    np.testing.assert_allclose(total, [2.0, 4.0, 4.0, 16.0, 16.0])
    np.testing.assert_array_equal(length, [2, 2, 1, 2, 1])
    np.testing.assert_array_equal(row, [1, 2, 2, 4, 4])


@pytest.mark.parametrize("n", [1, 3, 20])
def test_returns_equal_plain_loops(n):
    rng = np.random.default_rng(n)
    lengths = rng.integers(1, 12, 20)
    reward = rng.normal(size=lengths.sum())
    last = np.zeros(len(reward), bool)
    last[np.cumsum(lengths) - 1] = True
    monte_carlo, total, length = (np.zeros(len(reward)) for _ in range(3))
    for i in range(len(reward)):
        end = i + int(last[i:].argmax()) + 1
        powers = 0.9 ** np.arange(end - i)
        monte_carlo[i] = (powers * reward[i:end]).sum()
        length[i] = min(n, end - i)
        total[i] = (powers * reward[i:end])[:n].sum()
    arrays = jnp.asarray(reward, jnp.float32), jnp.asarray(last)
    found = jax.jit(returns.monte_carlo)(*arrays, 0.9)
    np.testing.assert_allclose(found, monte_carlo, rtol=1e-4, atol=1e-5)
    found = jax.jit(returns.n_step, static_argnums=3)(*arrays, 0.9, n)
    np.testing.assert_allclose(found[0], total, rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(found[1], length)
    np.testing.assert_array_equal(found[2], np.arange(len(reward)) + length - 1)


def test_planned_returns_equal_a_plain_loop():
    rng = np.random.default_rng(0)
    size = 150  # in the middle of the last of the stretches that go side by side
    reward, value = rng.normal(size=size), 3 * rng.normal(size=size)
    last = rng.random(size) < 0.1
    terminal = last & (rng.random(size) < 0.5)
    last[-1] = True
    expected = np.zeros(size)
    for i in reversed(range(size)):
        best = value[i] if last[i] else max(expected[i + 1], value[i])
        expected[i] = reward[i] + 0.9 * (0.0 if terminal[i] else best)
    reward, value = (jnp.asarray(x, jnp.float32) for x in (reward, value))
    ends = jnp.asarray(terminal), jnp.asarray(last)
    found = jax.jit(returns.planned)(reward, *ends, value, 0.9)
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_clipped_surrogate_by_hand():
    ratio = np.array([1.0, 1.5, 0.5, 1.5, 0.5])
    advantage = jnp.array([2.0, 2.0, 2.0, -2.0, -2.0])
    found = value_ops.clipped_surrogate(jnp.log(jnp.asarray(ratio)), advantage, 0.25)
    np.testing.assert_allclose(found, [2.0, 2.5, 1.0, -3.0, -1.5], rtol=1e-6)

    def total(log_ratio):
        return value_ops.clipped_surrogate(log_ratio, advantage, 0.25).sum()

    # Clipped are a ratio too high where more is better, and one too low where less is.
    slope = jax.grad(total)(jnp.log(jnp.asarray(ratio)))
    np.testing.assert_allclose(slope, [2.0, 0.0, 1.0, -3.0, 0.0], rtol=1e-6)


def test_planning_by_hand():
    """Four steps and one of another trajectory; the first goes on, the second does not.

    Backwards: 1 + 0.5 max(-, 4) = 3, since a time limit cuts there; 2 + 0.5 max(3, 1) =
    3.5; 0 + 0.5 max(3.5, 6) = 3; 1 + 0.5 max(3, 2) = 2.5. The other one is terminal.
    """
    found = returns.planned(
        reward=jnp.array([1.0, 0.0, 2.0, 1.0, 7.0]),
        terminal=jnp.array([False, False, False, False, True]),
        last=jnp.array([False, False, False, True, True]),
        next_value=jnp.array([2.0, 6.0, 1.0, 4.0, 9.0]),
        discount=0.5,
    )
    np.testing.assert_allclose(found, [2.5, 3.0, 3.5, 3.0, 7.0])
