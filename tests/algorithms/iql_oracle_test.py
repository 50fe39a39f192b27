"""IQL and BC: gradient steps against float64 NumPy."""

import jax
import numpy as np
import pytest
from oracles import comparison, descent, learners, networks

from gem_jax.algorithms import bc, iql

STEPS = 3  # the target of the first update decides nothing before the third
SETTINGS = dict(
    num_steps=4,  # so that the rate's decay shows
    hidden_sizes=(5, 4),
    learning_rate=0.03,
    discount=0.9,
    expectile=0.8,
    polyak=0.3,
    beta=2.0,
    max_weight=1.5,
    log_std_min=-1.0,
    log_std_max=0.5,
)


@pytest.mark.parametrize(
    "changes",
    [{}, {"log_std_min": 0.0, "log_std_max": 0.0}, {"critic_layer_norm": True}],
    ids=["gaussian", "deterministic", "layer norm"],
)
def test_iql_updates(changes, key):
    config = iql.Config(**SETTINGS | changes)
    algorithm = iql.make(config, comparison.SPEC)
    update = jax.jit(algorithm.phases[0].update)
    state = comparison.start(algorithm)
    bounds = config.log_std_min, config.log_std_max
    actor = learners.Mixture(state.actor, bounds=bounds)
    values = learners.Values(
        state.values,
        layer_norm=config.critic_layer_norm,
        rate=0.03,
        discount=0.9,
        expectile=0.8,
        polyak=0.3,
    )
    for step in range(STEPS):
        rows = comparison.batch(step)
        state, metrics = update(state, key, rows, step)
        rows = comparison.widened(rows)
        advantage, expected = values.step(rows)
        weight = np.minimum(np.exp(2.0 * advantage), 1.5)
        assert 0 < (weight == 1.5).sum() < len(weight)
        rate = descent.cosine_decay(0.03, step, 4, floor=0.0)
        of_actor = actor.step(rows, weight, rate)
        expected |= {"actor/loss": of_actor["loss"], "actor/nll": of_actor["nll"]}
        expected["actor/weight"] = weight.mean()
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, actor.net)
        comparison.assert_learned(state.values.critic, values.critic)
        comparison.assert_learned(state.values.value, values.value)
        comparison.assert_params(state.values.target_critic, values.used_target)


def test_bc_updates(key):
    config = bc.Config(hidden_sizes=(5, 4), learning_rate=0.03)
    algorithm = bc.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    update = jax.jit(algorithm.phases[0].update)
    actor = descent.Adam(state.actor.params)
    for step in range(STEPS):
        rows = comparison.batch(step)
        state, metrics = update(state, key, rows, step)
        rows = comparison.widened(rows)

        def loss(params, rows=rows):
            error = networks.policy(params, rows.observation) - rows.action
            return (error**2).sum(1).mean()

        comparison.assert_metrics(metrics, {"actor/loss": loss(actor.params)})
        actor.descend(loss, 0.03)
        comparison.assert_learned(state.actor, actor)
