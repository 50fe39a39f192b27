"""GEM: gradient steps of both phases against float64 NumPy."""

import jax
import numpy as np
import pytest
from oracles import comparison, descent, learners

from gem_jax.algorithms import gem

SETTINGS = dict(
    num_steps=4,  # so that the rates' decay shows
    hidden_sizes=(5, 4),
    learning_rate=0.03,
    num_critics=3,
    discount=0.9,
    expectile=0.8,
    polyak=0.3,
    beta=2.0,
    max_weight=1.5,
    num_components=2,
    log_std_min=-1.5,
    log_std_max=0.7,
    gating_entropy=0.3,
    behavior_steps=3,
    behavior_learning_rate=0.02,
    behavior_components=3,
    behavior_log_std_min=-0.9,
    behavior_log_std_max=-0.1,
    num_candidates=1,
)


class Oracle:
    """Both phases; ``posterior`` is the rows' share in the mixtures."""

    def __init__(self, state, **changes):
        self.settings = settings = SETTINGS | {"detach_responsibilities": True}
        settings |= changes
        self.values = learners.Values(
            state.values,
            layer_norm=settings.get("critic_layer_norm", False),
            rate=settings["learning_rate"],
            discount=settings["discount"],
            expectile=settings["expectile"],
            polyak=settings["polyak"],
        )
        self.actor = learners.Mixture(
            state.actor,
            bounds=(settings["log_std_min"], settings["log_std_max"]),
            entropy=settings["gating_entropy"],
            detach=settings["detach_responsibilities"],
        )
        self.behavior = learners.Mixture(
            state.behavior,
            bounds=(settings["behavior_log_std_min"], settings["behavior_log_std_max"]),
        )

    def fit_behavior(self, rows, posterior=1.0):
        count = self.behavior.net.count
        rate = descent.cosine_decay(0.02, count, 3, floor=0.1)
        metrics = self.behavior.step(rows, np.ones(len(rows.reward)) * posterior, rate)
        return {"behavior/nll": metrics["nll"]}

    def fit_policy(self, rows, posterior=1.0):
        rate = descent.cosine_decay(0.03, self.actor.net.count, 4, floor=0.0)
        advantage, metrics = self.values.step(rows)
        weight = np.minimum(np.exp(2.0 * advantage), 1.5)
        assert 0 < (weight == 1.5).sum() < len(weight)
        of_actor = self.actor.step(rows, weight * posterior, rate)
        metrics |= {f"actor/{name}": value for name, value in of_actor.items()}
        return metrics | {"actor/weight": weight.mean()}

    def assert_like(self, state):
        comparison.assert_learned(state.actor, self.actor.net)
        comparison.assert_learned(state.behavior, self.behavior.net)
        comparison.assert_learned(state.values.critic, self.values.critic)
        comparison.assert_learned(state.values.value, self.values.value)
        comparison.assert_params(state.values.target_critic, self.values.used_target)


def make(**changes):
    return gem.make(gem.Config(**SETTINGS | changes), comparison.SPEC)


def test_behavior_updates(key):
    algorithm = make()
    state = comparison.start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        rows = comparison.batch(step)
        state, metrics = update(state, key, rows, step)
        expected = oracle.fit_behavior(comparison.widened(rows))
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.behavior, oracle.behavior.net)


@pytest.mark.parametrize(
    "changes",
    [{}, {"critic_layer_norm": True}, {"detach_responsibilities": False}],
    ids=["default", "layer norm", "gradient through responsibilities"],
)
def test_policy_updates(changes, key):
    algorithm = make(**changes)
    state = comparison.start(algorithm)
    oracle = Oracle(state, **changes)
    update = jax.jit(algorithm.phases[1].update)
    for step in range(3):
        rows = comparison.batch(step)
        state, metrics = update(state, key, rows, step)
        expected = oracle.fit_policy(comparison.widened(rows))
        comparison.assert_metrics(metrics, expected)
        oracle.assert_like(state)


def test_updates_of_both_for_the_rows_of_a_cluster(key):
    """Values learn from every row alike, the mixtures by the cluster's posterior."""
    algorithm = make(behavior_freeze=False)
    state = comparison.start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[1].update)
    for step in range(2):
        rows = comparison.batch(step)
        posterior = np.linspace(0.0, 1.0, len(rows.reward), dtype=np.float32)
        extras = {"responsibility": posterior}
        state, metrics = update(state, key, rows._replace(extras=extras), step)
        rows = comparison.widened(rows)
        expected = oracle.fit_policy(rows, posterior) | oracle.fit_behavior(
            rows, posterior
        )
        comparison.assert_metrics(metrics, expected)
        oracle.assert_like(state)
