"""FQL: its three losses against float64 NumPy, and what it learns."""

import jax
import numpy as np
import pytest
import two_modes
from oracles import comparison, descent, networks

from gem_jax.algorithms import fql
from gem_jax.testing import fakes

CONFIG = fql.Config(
    hidden_sizes=(5, 4),
    learning_rate=0.01,
    discount=0.9,
    polyak=0.3,
    alpha=2.0,
    flow_steps=3,
)


def field(params, observation, x, *time):
    """The flow's velocity, or, without a time, an action of one step."""
    context = np.concatenate([observation, *time], 1)
    return networks.pair(params, context, x, activation=networks.gelu)


class Oracle:
    """All three learn from what the others were before the step."""

    def __init__(self, state, reduce):
        self.behavior = descent.Adam(state.behavior.params)
        self.actor = descent.Adam(state.actor.params)
        self.critic = descent.Adam(state.values.critic.params)
        self.target_critic = descent.float64(state.values.target_critic)
        self.reduce = reduce

    def q(self, params, observation, action):
        return networks.critics(params, observation, action, True, networks.gelu)

    def step(self, rows, following, noise, start, time):
        action = field(self.actor.params, rows.next_observation, following)
        action = np.clip(action, -1, 1)
        after = self.q(self.target_critic, rows.next_observation, action)
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, self.reduce(after, 0))
        taught = noise
        for number in range(3):
            at = np.full((len(noise), 1), number / 3)
            velocity = field(self.behavior.params, rows.observation, taught, at)
            taught = taught + velocity / 3
        taught = np.clip(taught, -1, 1)
        critic = descent.mapped(np.copy, self.critic.params)

        def critic_loss(params):
            return ((self.q(params, rows.observation, rows.action) - goal) ** 2).mean()

        def actor_losses(params):
            action = field(params, rows.observation, noise)
            inside = networks.clipped(action, -1, 1)
            q = self.q(critic, rows.observation, inside).mean(0)
            return ((action - taught) ** 2).mean(1), q

        def actor_loss(params):
            distance, q = actor_losses(params)
            return (2 * distance - q).mean()

        def behavior_loss(params):
            x = (1 - time) * start + time * rows.action
            velocity = field(params, rows.observation, x, time)
            return ((velocity - (rows.action - start)) ** 2).mean()

        distance, q = actor_losses(self.actor.params)
        metrics = {
            "critic/loss": critic_loss(self.critic.params),
            "actor/loss": actor_loss(self.actor.params),
            "actor/distance": distance.mean(),
            "actor/q": q.mean(),
            "behavior/loss": behavior_loss(self.behavior.params),
        }
        self.critic.descend(critic_loss, 0.01)
        self.actor.descend(actor_loss, 0.01)
        self.behavior.descend(behavior_loss, 0.01)
        descent.polyak(self.target_critic, self.critic.params, 0.3)
        return metrics


@pytest.mark.parametrize("reduction", ["mean", "min"])
def test_updates(reduction):
    config = fql.Config(**(vars(CONFIG) | {"target_reduction": reduction}))
    algorithm = fql.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state, getattr(np, reduction))
    update = jax.jit(algorithm.phases[0].update)
    for step in range(2):
        rows, key = comparison.batch(step), jax.random.key(step)
        next_key, noise_key, behavior_key = jax.random.split(key, 3)
        start_key, time_key = jax.random.split(behavior_key)
        following, noise, start = (
            np.asarray(jax.random.normal(k, (12, 2)), np.float64)
            for k in (next_key, noise_key, start_key)
        )
        time = np.asarray(jax.random.uniform(time_key, (12,)), np.float64)[:, None]
        wide = comparison.widened(rows)
        expected = oracle.step(wide, following, noise, start, time)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.behavior, oracle.behavior)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target_critic)


@pytest.fixture(scope="module")
def train():
    """On two modes of which one is rewarded."""

    def trained(alpha):
        config = fql.Config(
            num_steps=600,
            batch_size=64,
            hidden_sizes=(32, 32),
            learning_rate=3e-3,
            alpha=alpha,
        )
        return two_modes.train(fql.make(config, fakes.BANDIT_SPEC))

    return trained


def test_a_strong_teacher_keeps_both_modes_and_candidates_choose(train):
    act = train(1000.0)
    one = act(fql.Knobs(1))
    near = [np.abs(one - mode) < 0.3 for mode in (-0.7, 0.7)]
    assert np.mean(near[0] | near[1]) > 0.7
    assert 0.3 < near[1].mean() < 0.7
    assert np.mean(act(fql.Knobs(32)) > 0.2) > 0.9


def test_a_weak_teacher_leaves_the_rewarded_mode(train):
    assert np.mean(train(0.1)(fql.Knobs(1)) > 0.2) > 0.8


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("num_candidates", 0), ("flow_steps", 0), ("alpha", -1.0)),
        ("target_reduction", "max"),
    ],
)
def test_bad_settings_name_the_field(field, bad):
    with pytest.raises(ValueError, match=field):
        fql.Config(**{field: bad})
