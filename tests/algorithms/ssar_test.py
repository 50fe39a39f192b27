"""SSAR: gradient steps against float64 NumPy, what it trusts, and how beta moves."""

import dataclasses
import functools

import jax
import numpy as np
import pytest
from oracles import comparison, descent, learners, networks

from gem_jax import errors
from gem_jax.algorithms import ssar
from gem_jax.learners import adaptive_weight, trust
from gem_jax.testing import fakes
from gem_jax.types import Transition

CONFIG = ssar.Config(
    hidden_sizes=(5, 4),
    learning_rate=0.002,
    discount=0.9,
    polyak=0.3,
    policy_noise=0.4,
    noise_clip=0.3,
    beta_hidden_sizes=(4, 3),
    beta_init=0.7,
    beta_learning_rate=0.01,
    beta_max_grad_norm=0.02,
    sigma=0.6,
    n_start=1.0,
    n_end=2.0,
    n_period=2,
    trust="all",
)


def beta_of(params, observation):
    """Of the network's layers in order, 1.5 beta_init sigmoid(last)."""
    *hidden, last = (params[name] for name in sorted(params))
    x = observation
    for layer in hidden:
        x = networks.relu(networks.dense(layer, x))
    return 1.5 * 0.7 / (1 + np.exp(-networks.dense(last, x)[:, 0]))


class Oracle:
    """The public implementation's losses, on top of TD3 with standardized critics."""

    def __init__(self, state, *, clone_untrusted):
        self.actor = descent.Adam(state.actor.params)
        self.critic = descent.Adam(state.critic.params)
        self.target_actor = descent.float64(state.target_actor)
        self.target_critic = descent.float64(state.target_critic)
        self.beta = descent.Adam(state.beta.net.params)
        self.n, self.settled, self.clone_untrusted = 1.0, False, clone_untrusted

    def step(self, rows, noise, step):
        trusted = rows.extras["trust"]
        self._critics(rows, noise)

        def value_of(params):
            action = networks.policy(params, rows.observation)
            return networks.critics(
                self.critic.params, rows.observation, action, layer_norm=True
            )[0]

        scale = np.abs(value_of(self.actor.params)).mean()  # a constant
        beta = beta_of(self.beta.params, rows.observation)
        weight = beta if self.clone_untrusted else beta * trusted

        def actor_loss(params):
            error = networks.policy(params, rows.observation) - rows.action
            cloning = (weight[:, None] * error**2).mean()
            return cloning - (value_of(params) / scale).mean()

        squares = (networks.policy(self.actor.params, rows.observation)) - rows.action
        squares = np.minimum(squares**2, 1)
        assert (squares == 1).any() and (squares < 1).any()
        slack = (self.n * 0.6) ** 2 - squares.mean(1)
        assert (slack > 0).any() and (slack < 0).any()

        def beta_loss(params):
            return (slack * beta_of(params, rows.observation) * trusted).mean()

        metrics = {
            "critic/loss": self.critic_loss,
            "actor/loss": actor_loss(self.actor.params),
            "beta/loss": beta_loss(self.beta.params),
            "beta/mean": beta.mean(),
            "beta/n": self.n,
            "beta/deviation": squares.mean(1)[trusted == 1].mean(),
            "beta/trusted_share": trusted.mean(),
        }
        if step % 2 == 0:
            self.actor.descend(actor_loss, 0.002)
            self.beta.descend(beta_loss, 0.01, max_norm=0.02)
            descent.polyak(self.target_actor, self.actor.params, 0.3)
            descent.polyak(self.target_critic, self.critic.params, 0.3)
            if step > 0:
                self.settled |= slack[trusted == 1].mean() > 0
                self.n += 0.0 if self.settled else 0.1
        return metrics

    def _critics(self, rows, noise):
        action = networks.policy(self.target_actor, rows.next_observation)
        action = np.clip(action + np.clip(noise, -0.3, 0.3), -1, 1)
        next_pair = rows.next_observation, action
        low = networks.critics(self.target_critic, *next_pair, True).min(0)
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, low)

        def loss(params):
            q = networks.critics(params, rows.observation, rows.action, True)
            return ((q - goal) ** 2).mean()

        self.critic_loss = loss(self.critic.params)
        self.critic.descend(loss, 0.002)


@pytest.mark.parametrize("clone_untrusted", [False, True])
def test_updates(clone_untrusted):
    config = dataclasses.replace(CONFIG, clone_untrusted=clone_untrusted)
    algorithm = ssar.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    beta = dataclasses.replace(state.beta, n=np.float32(1.0))
    state = dataclasses.replace(state, beta=beta)
    oracle = Oracle(state, clone_untrusted=clone_untrusted)
    update = jax.jit(algorithm.phases[0].update)
    shrunk = []
    for step in range(3):
        # With these no unit's gradient is near 0, where Adam would enlarge rounding.
        rows, key = comparison.batch(step + 3), jax.random.key(step)
        trusted = (np.arange(len(rows.reward)) % 3 != step % 3).astype(np.float32)
        rows = rows._replace(extras={"trust": trusted})
        noise = 0.4 * np.asarray(jax.random.normal(key, rows.action.shape), np.float64)
        state, metrics = update(state, key, rows, step)
        expected = oracle.step(comparison.widened(rows), noise, step)
        shrunk.append(oracle.beta.shrunk)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.critic, oracle.critic)
        comparison.assert_learned(state.beta.net, oracle.beta)
        comparison.assert_params(state.target_actor, oracle.target_actor)
        comparison.assert_params(state.target_critic, oracle.target_critic)
        np.testing.assert_allclose(state.beta.n, oracle.n, rtol=1e-6)
        assert bool(state.beta.settled) == oracle.settled
    assert oracle.n > 1.0 and any(shrunk)


def test_pretrained_values_decide_what_is_trusted():
    changes = dict(trust="value", value_expectile=0.8, value_layer_norm=True)
    config = dataclasses.replace(CONFIG, **changes)
    algorithm = ssar.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    settings = dict(rate=0.002, discount=0.9, expectile=0.8, polyak=0.3)
    oracle = learners.Values(state.values, layer_norm=True, **settings)
    pretraining, main = algorithm.phases
    update = jax.jit(pretraining.update)
    for step in range(2):
        rows = comparison.batch(step)
        state, metrics = update(state, jax.random.key(0), rows, step)
        _, expected = oracle.step(comparison.widened(rows))
        comparison.assert_metrics(metrics, expected)
    comparison.assert_learned(state.values.critic, oracle.critic)
    comparison.assert_learned(state.values.value, oracle.value)
    # The critics decide, and not their slow copies.
    gone = jax.tree.map(np.zeros_like, jax.device_get(state.values.target_critic))
    values = dataclasses.replace(state.values, target_critic=gone)
    state = dataclasses.replace(state, values=values)
    data = comparison.batch(7)
    prepare = jax.jit(main.prepare)
    _, extras = prepare(state, jax.random.key(0), data)
    data = comparison.widened(data)
    pair = data.observation, data.action
    low = networks.critics(oracle.critic.params, *pair, True).min(0)
    trusted = low >= networks.value(oracle.value.params, data.observation)
    assert 0 < trusted.sum() < len(trusted)
    np.testing.assert_array_equal(extras["trust"], trusted)
    # Where V is above all Q, nothing would be left to stay near.
    head = state.values.value.params["params"]["Dense_0"]
    head["bias"] = head["bias"] + 1e6
    _, extras = prepare(state, jax.random.key(0), comparison.batch(7))
    np.testing.assert_array_equal(extras["trust"], np.ones(len(trusted)))


# How beta moves


@functools.cache
def weight_learner(**changes):
    """With functions under jit, updated at every step, and 64 states."""
    small = dict(beta_hidden_sizes=(16,), actor_period=1)
    config = dataclasses.replace(CONFIG, **small | changes)
    learner = adaptive_weight.WeightLearner(
        *map(jax.jit, adaptive_weight.make(config, fakes.SPEC))
    )
    observation = np.random.default_rng(1).normal(size=(64, 3)).astype(np.float32)
    return learner, observation


def moved(squares, trusted, steps=30):
    """beta before and after some steps on the same batch, and the last state."""
    learner, observation = weight_learner()
    state = learner.init(jax.random.key(0))
    before = learner.apply(state.net.params, observation)
    squares = np.broadcast_to(np.float32(squares), (64, 2))
    for _ in range(steps):
        state, _ = learner.update(state, observation, squares, trusted, 1)
    after = learner.apply(state.net.params, observation)
    return np.asarray(before), np.asarray(after), state


def test_beta_grows_where_the_actor_strays_and_falls_where_it_stays_close():
    """(n sigma)^2 is 0.36, for the mean of dimensions that count 1 at most."""
    everywhere = np.ones(64, np.float32)
    before, after, _ = moved(0.37, everywhere)
    assert (after > before).all() and after.max() < 1.5 * 0.7
    before, after, _ = moved(0.35, everywhere)
    assert (after < before).all() and after.min() > 0.0
    before, after, _ = moved([9.0, 0.0], everywhere)  # 1 and 0
    assert (after > before).all()
    # In a batch with both, states part.
    _, observation = weight_learner()
    strays = observation[:, 0] > 0.0
    before, after, _ = moved(np.where(strays, 0.9, 0.0)[:, None], everywhere)
    assert (after - before)[strays].mean() > 0.0 > (after - before)[~strays].mean()


def test_what_is_not_trusted_moves_nothing():
    before, after, state = moved(0.9, np.zeros(64, np.float32))
    np.testing.assert_array_equal(after, before)
    assert all(
        (leaf == 0).all() for leaf in jax.tree.leaves(state.net.opt_state[1][0].mu)
    )
    # One trusted row alone decides, the others' deviations do not.
    first = np.eye(64, dtype=np.float32)[0]
    before, after, _ = moved(np.where(first, 0.9, 0.0)[:, None], first)
    assert after[0] > before[0]


def test_a_fresh_beta_is_the_first_one_everywhere():
    learner, observation = weight_learner(beta_init=0.4)
    for seed in range(3):
        params = learner.init(jax.random.key(seed)).net.params
        beta = learner.apply(params, observation)
        assert abs(beta.mean() - 0.4) < 0.06 and np.ptp(beta) < 0.4
        head = params["params"]["Dense_1"]
        np.testing.assert_allclose(head["bias"], np.log(2.0), rtol=1e-6)
        assert np.abs(head["kernel"]).max() <= np.sqrt(6 / 17)  # Xavier's bound


def test_n_grows_in_tenths_until_trusted_rows_meet_it():
    learner, observation = weight_learner(sigma=0.3, n_end=3.0, n_period=4)
    trusted = (np.arange(64) % 2).astype(np.float32)
    far, near = (np.full((64, 2), size, np.float32) for size in (1.0, 0.0))
    far_where_trusted = np.where(trusted[:, None] > 0.0, far, near)
    state, seen = learner.init(jax.random.key(0)), []
    for step in range(21):
        squares = {8: far_where_trusted, 9: near, 12: 1.0 - far_where_trusted}
        squares = squares.get(step, far)
        state, _ = learner.update(state, observation, squares, trusted, step)
        seen.append((round(float(state.n), 5), bool(state.settled)))
    n = [1.0] * 4 + [1.2] * 4 + [1.4] * 13
    assert seen == list(zip(n, [False] * 12 + [True] * 9, strict=True))


@pytest.mark.parametrize("actor_period", [1, 2, 3])
@pytest.mark.parametrize("n_period", [4, 5, 7])
def test_n_grows_once_a_period_whatever_the_steps_between_updates(
    n_period, actor_period
):
    learner, observation = weight_learner(
        sigma=0.3, n_end=3.0, n_period=n_period, actor_period=actor_period
    )
    state = learner.init(jax.random.key(0))
    far, trusted = np.ones((64, 2), np.float32), np.ones(64, np.float32)
    for step in range(0, 36, actor_period):
        state, _ = learner.update(state, observation, far, trusted, step)
        np.testing.assert_allclose(state.n, 1.0 + 0.2 * (step // n_period), rtol=1e-6)


def test_n_ends_where_it_is_told_also_without_trusted_rows():
    learner, observation = weight_learner(sigma=0.3, n_end=1.5, n_period=1)
    squares = np.ones((64, 2), np.float32)
    for trusted in (squares[:, 0], 0.0 * squares[:, 0]):
        state = learner.init(jax.random.key(0))
        for step in range(14):
            state, _ = learner.update(state, observation, squares, trusted, step)
        np.testing.assert_allclose(state.n, 1.5)


# What is trusted


def steps(reward, terminal):
    """Trajectories of three steps and two."""
    size = len(reward)
    return Transition(
        observation=np.zeros((size, 3), np.float32),
        action=np.zeros((size, 2), np.float32),
        reward=np.array(reward, np.float32),
        next_observation=np.zeros((size, 3), np.float32),
        terminal=np.array(terminal, np.float32),
        extras={"episode": np.array([0, 0, 0, 1, 1], np.int32)},
    )


RETURNS = steps([1.0, 2.0, 4.0, 8.0, -16.0], [0, 1, 0, 0, 0])  # 3, 4 and -8
GOALS = steps([-1.0, 0.0, -1.0, 0.0, -1.0], [0, 1, 0, 0, 0])


@pytest.mark.parametrize(
    ("rule", "threshold", "data", "expected"),
    [
        ("return", 3.0, RETURNS, [0, 0, 1, 0, 0]),  # above, not at
        ("return", -7.0, RETURNS, [1, 1, 1, 0, 0]),
        ("goal", 99.0, GOALS, [1, 1, 0, 0, 0]),  # only where a trajectory ends
        ("all", 99.0, RETURNS, [1, 1, 1, 1, 1]),
    ],
)
def test_what_the_data_make_trusted(rule, threshold, data, expected):
    config = dataclasses.replace(CONFIG, trust=rule, return_threshold=threshold)
    algorithm = ssar.make(config, fakes.SPEC)
    (phase,) = algorithm.phases
    _, extras = phase.prepare(None, jax.random.key(0), data)
    np.testing.assert_array_equal(extras[trust.TRUST], expected)
    said = []
    algorithm.check(data, said.append)
    share = f"{np.mean(expected):.1%} of the transitions"
    above = f" above {threshold:g}" if rule == "return" else ""
    assert said == [f"trusted, by --config.trust={rule}{above}: {share}"]


@pytest.mark.parametrize(
    ("rule", "data", "named"),
    [
        ("return", RETURNS, "highest return is 4; lower --config.return_threshold=5,"),
        ("goal", RETURNS._replace(reward=np.ones(5)), "no trajectory ends with more"),
        ("return", RETURNS._replace(extras={}), "the trajectory of each step"),
    ],
)
def test_trusting_nothing_is_refused(rule, data, named):
    config = dataclasses.replace(CONFIG, trust=rule, return_threshold=5.0)
    with pytest.raises(errors.UserError, match=named):
        ssar.make(config, fakes.SPEC).check(data, print)


def test_values_that_will_decide_are_announced():
    said = []
    config = dataclasses.replace(CONFIG, trust="value")
    ssar.make(config, fakes.SPEC).check(RETURNS._replace(extras={}), said.append)
    assert said == [
        "trusted, by --config.trust=value: what 1,000,000 steps of IQL give Q >= V"
    ]


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"n_end": 0.5}, "n_start=1.0 must not be above n_end=0.5"),
        ({"trust": "luck"}, "trust must be one of return, goal, all, value"),
        ({"beta_hidden_sizes": ()}, "beta_hidden_sizes"),
        ({"n_period": 0}, "n_period"),
    ],
)
def test_bad_settings_name_the_field(changes, named):
    with pytest.raises(ValueError, match=named):
        dataclasses.replace(CONFIG, **changes)
