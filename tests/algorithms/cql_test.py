"""CQL: gradient steps against float64 NumPy."""

import math

import jax
import numpy as np
import pytest
from oracles import comparison, descent, networks

from gem_jax.algorithms import cql

COUNT = 2
SIZES = dict(
    hidden_sizes=(5, 4),
    critic_hidden_sizes=(4, 6),
    learning_rate=0.004,
    critic_learning_rate=0.003,
    discount=0.9,
    polyak=0.3,
    cql_alpha=0.7,
    num_actions=COUNT,
    log_std_min=-0.5,
    log_std_max=0.4,
)


def drawn(params, key, observation):
    """Actions and log-densities from a key, in float64."""
    mean, log_std = networks.tanh_gaussian(params, observation, -0.5, 0.4)
    noise = np.asarray(jax.random.normal(key, mean.shape), np.float64)
    action = np.tanh(mean + np.exp(log_std) * noise)
    normal = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)
    return action, (normal - np.log(1 - action**2)).sum(1)


class Oracle:
    """Kumar et al. (2020), Eq. 4 with importance weights, and their Lagrangian."""

    def __init__(self, state, config):
        self.actor = descent.Adam(state.actor.params)
        self.temperature = descent.Adam({"log": np.asarray(state.temperature.params)})
        self.critic = descent.Adam(state.values.critic.params)
        self.target_critic = descent.float64(state.values.target_critic)
        self.config, self.normed = config, config.critic_layer_norm
        self.bound = set()  # whether rows lay below the least gap
        if config.lagrange:
            self.multiplier = descent.Adam({"log": np.asarray(1.0)})

    def next_value(self, rows, key):
        count = COUNT if self.config.max_backup else 1
        after = rows.next_observation
        lows = [
            networks.critics(
                self.target_critic,
                after,
                drawn(self.actor.params, k, after)[0],
                self.normed,
            ).min(0)
            for k in jax.random.split(key, count)
        ]
        return np.max(lows, 0)

    def others(self, rows, key):
        uniform_key, here_key, next_key = jax.random.split(key, 3)
        uniform = jax.random.uniform(uniform_key, (COUNT, 12, 2), "float32", -1.0, 1.0)
        found = [(np.asarray(a, float), np.log(0.25) * np.ones(12)) for a in uniform]
        for k, states in (
            (here_key, rows.observation),
            (next_key, rows.next_observation),
        ):
            for one in jax.random.split(k, COUNT):
                found.append(drawn(self.actor.params, one, states))
        return found

    def gap(self, params, rows, far):
        q = networks.critics(params, rows.observation, rows.action, self.normed)
        terms = [
            networks.critics(params, rows.observation, a, self.normed) - d
            for a, d in far
        ]
        gap = np.log(np.exp(terms).sum(0)) - q
        low = gap.real < self.config.least_gap
        self.bound |= set(low.ravel().tolist())
        return np.where(low, self.config.least_gap, gap).mean(1)

    def step(self, rows, key):
        config = self.config
        actor_key, next_key, others_key = jax.random.split(key, 3)
        goal = rows.reward + 0.9 * np.where(
            rows.terminal, 0, self.next_value(rows, next_key)
        )
        far = self.others(rows, others_key)
        alpha = np.exp(self.temperature.params["log"])
        old = descent.mapped(np.copy, self.critic.params)
        weight = config.cql_alpha
        if config.lagrange:
            weight = weight * np.exp(self.multiplier.params["log"])

        def actor_loss(params):
            action, log_prob = drawn(params, actor_key, rows.observation)
            q = networks.critics(old, rows.observation, action, self.normed)
            return (alpha * log_prob - networks.smallest(q)).mean()

        def squares(params):
            q = networks.critics(params, rows.observation, rows.action, self.normed)
            return ((q - goal) ** 2).mean()

        def critic_loss(params):
            return squares(params) + weight * self.gap(params, rows, far).mean()

        found = self.gap(old, rows, far)
        metrics = {
            "actor/loss": actor_loss(self.actor.params),
            "critic/loss": squares(old),
            "critic/gap": found.mean(),
            "temperature/alpha": alpha,
        }
        _, log_prob = drawn(self.actor.params, actor_key, rows.observation)
        shortfall = (log_prob - 2.0).mean()
        self.temperature.descend(lambda p: -p["log"] * shortfall, 0.004)
        self.actor.descend(actor_loss, 0.004)
        self.critic.descend(critic_loss, 0.003)
        descent.polyak(self.target_critic, self.critic.params, 0.3)
        if config.lagrange:
            metrics["multiplier/value"] = weight / config.cql_alpha
            apart = config.cql_alpha * (found - config.action_gap).sum()
            self.multiplier.descend(lambda p: -0.5 * np.exp(p["log"]) * apart, 0.003)
        return metrics


@pytest.mark.parametrize(
    "changes",
    [
        {},
        dict(
            lagrange=True,
            action_gap=0.3,
            max_backup=True,
            least_gap=2.5,
            critic_layer_norm=True,
        ),
    ],
    ids=["plain", "all options"],
)
def test_updates(changes):
    config = cql.Config(**SIZES | changes)
    algorithm = cql.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    if config.lagrange:
        multiplier = state.multiplier._replace(params=1.0 + 0 * state.multiplier.params)
        state = state.replace(multiplier=multiplier)
    oracle = Oracle(state, config)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(2 if config.lagrange else 1):
        rows, key = comparison.batch(step), jax.random.key(step)
        expected = oracle.step(comparison.widened(rows), key)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target_critic)
    assert oracle.bound == {config.lagrange, False}
    if config.lagrange:
        np.testing.assert_allclose(
            state.multiplier.params, oracle.multiplier.params["log"], rtol=1e-5
        )


def test_a_multiplier_starts_at_e():
    algorithm = cql.make(cql.Config(**SIZES, lagrange=True), comparison.SPEC)
    state = algorithm.init(jax.random.key(0))
    assert state.multiplier.params == 1.0
    assert (
        cql.make(cql.Config(**SIZES), comparison.SPEC)
        .init(jax.random.key(0))
        .multiplier
        is None
    )


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("cql_alpha", -1.0), ("num_actions", 0), ("action_gap", math.inf)),
        *(("least_gap", math.nan), ("critic_learning_rate", 0.0)),
    ],
)
def test_bad_settings_name_the_field(field, bad):
    with pytest.raises(ValueError, match=field):
        cql.Config(**{field: bad})
