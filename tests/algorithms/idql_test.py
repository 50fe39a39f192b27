"""IDQL: its diffusion against float64 NumPy, its value losses, what it chooses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_modes
from oracles import comparison, descent, learners, networks

from gem_jax import algorithms
from gem_jax.algorithms import idql
from gem_jax.learners import ddpm_policy
from gem_jax.ops import value
from gem_jax.testing import fakes

CONFIG = idql.Config(
    num_steps=4,
    hidden_sizes=(5, 4),
    learning_rate=0.005,
    discount=0.9,
    expectile=0.8,
    polyak=0.3,
    behavior_width=4,
    behavior_blocks=2,
    behavior_dropout=0.0,
    averaging_rate=0.25,
    sampling_steps=4,
)


def behavior(params, observation, action, time):
    """The residual network, `[B, A]`."""
    angles = time[:, None] * np.geomspace(1.0, 200.0, 16)
    x = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    layers = [params[f"Dense_{i}"] for i in range(9)]
    x = networks.dense(layers[1], networks.silu(networks.dense(layers[0], x)))
    context = np.concatenate([observation, x], 1)
    x = networks.dense(layers[3], action) + context @ layers[2]["kernel"]
    for i in range(2):
        norm = params[f"LayerNorm_{i}"]
        y = x - x.mean(1, keepdims=True)
        y = y / np.sqrt((y**2).mean(1, keepdims=True) + 1e-6)
        y = y * norm["scale"] + norm["bias"]
        y = networks.silu(networks.dense(layers[4 + 2 * i], y))
        x = x + networks.dense(layers[5 + 2 * i], y)
    return networks.dense(layers[8], networks.silu(x))


def make(**changes):
    config = dataclasses.replace(CONFIG, **changes)
    return algorithms.make("idql", config, comparison.SPEC)


def test_updates():
    algorithm = make()
    state = comparison.start(algorithm)
    # LayerNorm would raise the rounding of large products.
    smaller = jax.tree.map(
        lambda leaf: 0.3 * np.asarray(leaf),
        (state.behavior.trained.params, state.behavior.average),
    )
    trained = state.behavior.trained._replace(params=smaller[0])
    state = dataclasses.replace(
        state, behavior=ddpm_policy.Averaged(trained, smaller[1])
    )
    average = descent.float64(state.behavior.average)
    settings = dict(discount=0.9, expectile=0.8, polyak=0.3)
    values = learners.Values(state.values, layer_norm=False, rate=0.005, **settings)
    oracle = descent.Adam(state.behavior.trained.params)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        rows, key = comparison.batch(step), jax.random.key(step)
        noise_key, time_key = jax.random.split(jax.random.split(key)[0])
        noise = np.asarray(jax.random.normal(noise_key, (12, 2)), np.float64)
        time = np.asarray(jax.random.randint(time_key, (12,), 1, 5), np.float64) / 4
        kept = np.exp(-0.1 * time - 0.5 * 9.9 * time**2)[:, None]
        wide = comparison.widened(rows)
        x = np.sqrt(kept) * wide.action + np.sqrt(1 - kept) * noise

        def loss(params, wide=wide, x=x, time=time, noise=noise):
            error = behavior(params, wide.observation, x, time) - noise
            return (error**2).sum(1).mean()

        _, expected = values.step(wide)
        expected["behavior/loss"] = loss(oracle.params)
        oracle.descend(loss, descent.cosine_decay(0.005, step, 4, 0.0))
        descent.polyak(average, oracle.params, 0.25)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.behavior.trained, oracle)
        comparison.assert_params(state.behavior.average, average)
        comparison.assert_learned(state.values.critic, values.critic)
    acting = algorithm.actor_params(state)  # slow copies propose and choose
    comparison.assert_params(acting.behavior, average)
    comparison.assert_params(acting.critic, values.used_target)


def test_training_drops(key):
    """Acting cannot: it has no key for it."""
    dropping, plain = make(behavior_dropout=0.9), make()
    state, batch = comparison.start(plain), comparison.batch(0)
    losses = [
        jax.jit(algorithm.phases[0].update)(state, key, batch, 0)[1]["behavior/loss"]
        for algorithm in (dropping, plain)
    ]
    assert abs(losses[0] - losses[1]) > 1e-3


def test_value_losses_by_hand():
    residual = jnp.array([2.0, -2.0, 0.0])
    found = jax.jit(value.quantile_loss)(residual, 0.8)
    np.testing.assert_allclose(found, [1.6, 0.4, 0.0], 1e-6)
    expected = np.exp([1.0, -1.0, 0.0]) - np.array([1.0, -1.0, 0.0])
    found = jax.jit(value.exponential_loss)(residual, 2.0)
    np.testing.assert_allclose(found, expected, 1e-6)
    exponential = jax.jit(jax.value_and_grad(value.exponential_loss))
    far, slope = exponential(jnp.float32(9.0), 1.0)
    np.testing.assert_allclose(far, np.exp(5.0) * 5.0 - 9.0, rtol=1e-6)
    np.testing.assert_allclose(slope, np.exp(5.0) - 1.0, rtol=1e-6)  # upwards still


@pytest.mark.parametrize("objective", idql.OBJECTIVES)
def test_minima_of_the_value_losses(objective):
    """Of values 0, 0, 0 and 1: the expectile, the quantile and a soft maximum."""
    q = np.array([0.0, 0.0, 0.0, 1.0], np.float32)
    grid = np.linspace(-0.5, 1.5, 2001, dtype=np.float32)
    config = dataclasses.replace(CONFIG, objective=objective, expectile=0.6)
    loss = idql._objective(config)
    found = grid[np.argmin(jax.jit(jax.vmap(lambda v: loss(q - v).sum()))(grid))]
    # 3 (1 - tau) v = tau (1 - v); a fourth is less than 1 - tau; exp(v) = mean exp(q).
    expected = {
        "expectile": 0.6 / (0.6 + 3 * 0.4),
        "quantile": 0.0,
        "exponential": np.log((3 + np.e) / 4),
    }
    np.testing.assert_allclose(found, expected[objective], atol=2e-3)


def implicit_weight(loss, q):
    of_values = jax.jit(lambda q: value.implicit_weight(loss, q))
    return np.asarray(of_values(np.asarray(q, np.float32)))


@pytest.mark.parametrize("objective", idql.OBJECTIVES)
def test_implicit_weights_have_their_mean_at_the_value(objective):
    """E_w[Q] = V: what makes the policy the value's own (IDQL, section 4.1)."""
    q = np.array([0.3, -1.0, 2.0, 0.5, 0.9], np.float32)
    loss = idql._objective(dataclasses.replace(CONFIG, objective=objective))
    weight = np.float64(implicit_weight(loss, q))
    level = float(jax.jit(lambda q: value.minimizer(loss, q))(q))
    assert (weight > 0).all()
    # A quantile is one of the values, whose weight is nearly all there is.
    tolerance = 1e-3 if objective == "quantile" else 1e-5
    np.testing.assert_allclose((weight * q).sum() / weight.sum(), level, atol=tolerance)


def test_implicit_weights_by_hand():
    """Above the expectile weights are tau, below 1 - tau; equal values weigh alike."""
    loss = idql._objective(dataclasses.replace(CONFIG, expectile=0.8))
    weight = implicit_weight(loss, [0.0, 0.0, 1.0])
    np.testing.assert_allclose(weight / weight[2], [0.25, 0.25, 1.0], rtol=1e-5)
    same = implicit_weight(loss, [7.0] * 4)
    np.testing.assert_allclose(same / same[0], 1.0, rtol=1e-5)


@pytest.mark.parametrize("objective", idql.OBJECTIVES)
@pytest.mark.parametrize("temperature", [0.3, 17.0, 100.0])
def test_implicit_weights_near_the_value(objective, temperature):
    """A slope of exp(u) - 1 that rounds to 0 or below would exclude what lies at V."""
    config = dataclasses.replace(
        CONFIG, objective=objective, value_temperature=temperature
    )
    weight = implicit_weight(idql._objective(config), [2.0] * 3)
    assert (weight > 0).all()
    if objective == "exponential":
        np.testing.assert_allclose(weight, temperature**-2.0, rtol=1e-4)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_that_are_not_finite_have_no_part_in_implicit_weights(bad):
    loss = idql._objective(CONFIG)
    weight = implicit_weight(loss, [1.0, bad, 5.0, 3.0])
    without = implicit_weight(loss, [1.0, 5.0, 3.0])
    np.testing.assert_allclose(weight[[0, 2, 3]], without, rtol=1e-6)
    assert np.isnan(weight[1])
    assert np.isnan(implicit_weight(loss, [bad] * 2)).all()


def test_it_executes_the_rewarded_mode():
    config = idql.Config(
        num_steps=600,
        batch_size=64,
        hidden_sizes=(32, 32),
        learning_rate=3e-3,
        behavior_width=32,
        averaging_rate=0.01,
        num_candidates=16,
    )
    algorithm = idql.make(config, fakes.BANDIT_SPEC)
    play = two_modes.train(algorithm)

    def act(num_candidates, rule="best"):
        return play(idql.Knobs(num_candidates, 5, rule))

    one = act(1)
    assert 0.35 < np.mean(one > 0) < 0.65
    assert np.mean(np.abs(one) > 0.35) > 0.7  # five steps are coarse
    assert np.mean(act(16) > 0.2) > 0.95
    # Weights 0.7 and 0.3 of two modes equally often.
    assert 0.6 < np.mean(act(16, "implicit") > 0.2) < 0.8


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("num_candidates", 0), ("sampling_steps", 0), ("behavior_dropout", 1.0)),
        *(("objective", "mode"), ("value_temperature", 0.0)),
    ],
)
def test_bad_settings_name_the_field(field, bad):
    with pytest.raises(ValueError, match=field):
        idql.Config(**{field: bad})


def test_an_unknown_rule_is_refused():
    with pytest.raises(ValueError, match="rule must be one of best, implicit"):
        idql.Knobs(rule="worst").validate()
