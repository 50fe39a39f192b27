"""LOM: gradient steps against float64 NumPy."""

import dataclasses

import jax
import numpy as np
import pytest
from oracles import comparison, descent, learners, networks

from gem_jax.algorithms import lom

BOUNDS = -1.0, 0.3
CONFIG = lom.Config(
    hidden_sizes=(5, 4),
    behavior_hidden_sizes=(5, 4),
    learning_rate=0.03,
    critic_learning_rate=0.02,
    behavior_learning_rate=0.01,
    batch_size=8,
    modes_batch_size=12,
    num_components=3,
    num_critics=2,
    discount=0.9,
    polyak=0.3,
    target_period=2,
    target_noise=0.4,
    noise_clip=0.3,
    log_std_min=BOUNDS[0],
    log_std_max=BOUNDS[1],
    beta=4.0,
    max_weight=1.2,
    action_noise=0.2,
)


class Oracle:
    """Steps 3, 4 and 6 of the method, of rows whose next actions are known."""

    def __init__(self, state, baseline):
        self.critic = descent.Adam(state.values.critic.params)
        self.target = descent.float64(state.values.target_critic)
        self.modes = descent.Adam(state.modes.params)
        self.actor = descent.Adam(state.actor.params)
        self.behavior = descent.float64(state.behavior.params)
        self.baseline, self.count = baseline, 0

    def lowest(self, params, observation, action):
        return networks.critics(params, observation, action).min(0)

    def mode_values(self, params, observation):
        member = descent.mapped(lambda leaf: leaf[None], params)
        size = len(observation)
        columns = [
            networks.critics(member, observation, np.tile(one, (size, 1)))[0]
            for one in np.eye(3)
        ]
        return np.stack(columns, 1)

    def step(self, rows, noises):
        smoothing, of_modes, of_actor, extra = noises
        _, means, log_std = networks.mixture(self.behavior, rows.observation, *BOUNDS)
        before = descent.mapped(np.copy, self.critic.params)
        few = jax.tree.map(lambda leaf: leaf[:8], rows)
        metrics = self.learn_critic(few, smoothing)
        drawn = np.clip(means + np.exp(log_std) * of_modes, -1, 1)
        goal = np.stack(
            [self.lowest(before, rows.observation, drawn[:, u]) for u in range(3)], 1
        )
        q_modes = self.mode_values(self.modes.params, rows.observation)

        def modes_loss(params):
            return ((self.mode_values(params, rows.observation) - goal) ** 2).mean()

        metrics["modes/loss"] = modes_loss(self.modes.params)
        metrics["modes/best_q"] = q_modes.max(1).mean()
        metrics["modes/q_1"] = q_modes[:, 1].mean()
        chosen = q_modes.argmax(1)
        metrics["modes/chosen_2"] = (chosen == 2).mean()
        self.modes.descend(modes_loss, 0.03)
        place = np.arange(8), chosen[:8]
        mode = means[place], np.exp(log_std[place])
        return metrics | self.imitate(few, mode, before, of_actor, extra)

    def learn_critic(self, few, smoothing):
        action = few.extras["next_action"] + np.clip(smoothing, -0.3, 0.3)
        after = self.lowest(self.target, few.next_observation, np.clip(action, -1, 1))
        goal = few.reward + 0.9 * np.where(few.terminal, 0, after)

        def loss(params):
            q = networks.critics(params, few.observation, few.action)
            return (few.extras["has_target"] * (q - goal) ** 2).mean()

        metrics = {"critic/loss": loss(self.critic.params)}
        self.critic.descend(loss, 0.02)
        self.count += 1
        if self.count % 2 == 0:
            descent.polyak(self.target, self.critic.params, 0.3)
        return metrics

    def imitate(self, few, mode, q_params, noise, extra):
        mean, std = mode
        action = np.clip(mean + std * noise, -1, 1) + 0.2 * extra
        over = mean
        if self.baseline == "policy":
            over = networks.policy(self.actor.params, few.observation)
        q, base = (self.lowest(q_params, few.observation, a) for a in (action, over))
        weight = np.minimum(np.exp(4.0 * (q - base)), 1.2)

        def loss(params):
            error = networks.policy(params, few.observation) - action
            return (weight * (error**2).sum(1)).mean()

        metrics = {
            "actor/loss": loss(self.actor.params),
            "actor/advantage": (q - base).mean(),
            "actor/weight": weight.mean(),
            "actor/capped_share": (weight == 1.2).mean(),
            "actor/mode_std": std.mean(),
        }
        self.actor.descend(loss, 0.03)
        return metrics


def noises_of(key):
    """Of the target, of the modes' actions, of the actor's, and beside those."""
    target_key, modes_key, actor_key = jax.random.split(key, 3)
    shapes = (8, 2), (12, 3, 2), (8, 2), (8, 2)
    keys = (target_key, modes_key, *jax.random.split(actor_key))
    drawn = [
        np.asarray(jax.random.normal(k, shape), np.float64)
        for k, shape in zip(keys, shapes, strict=True)
    ]
    return 0.4 * drawn[0], *drawn[1:]


@pytest.mark.parametrize("baseline", lom.BASELINES)
def test_updates(baseline):
    config = dataclasses.replace(CONFIG, baseline=baseline)
    algorithm = lom.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state, baseline)
    update = jax.jit(algorithm.phases[1].update)
    capped = []
    for step in range(4):
        rows, key = comparison.batch(step), jax.random.key(step)
        followed = np.arange(12) % 4 != 1
        extras = {
            "next_action": np.roll(rows.action, -1, 0),
            "has_target": followed.astype(np.float32),
        }
        rows = rows._replace(extras=extras)
        state, metrics = update(state, key, rows, step)
        expected = oracle.step(comparison.widened(rows), noises_of(key))
        capped.append(expected["actor/capped_share"])
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target)
        comparison.assert_learned(state.modes, oracle.modes)
        comparison.assert_learned(state.actor, oracle.actor)
    assert 0 < np.mean(capped) < 1


def test_the_behavior_has_scales_of_its_own_in_each_state():
    algorithm = lom.make(CONFIG, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = learners.Mixture(state.behavior, bounds=BOUNDS)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        rows = comparison.batch(step)
        wide = comparison.widened(rows)
        _, _, log_std = networks.mixture(oracle.net.params, wide.observation, *BOUNDS)
        assert len(np.unique(log_std)) > log_std.shape[1] * log_std.shape[2]
        state, metrics = update(state, jax.random.key(0), rows, step)
        expected = oracle.step(wide, np.ones(12), 0.01)
        std = np.exp(log_std).mean(2)
        comparison.assert_metrics(
            metrics,
            {
                "behavior/nll": expected["nll"],
                "behavior/std": std.mean(),
                "behavior/least_std": std.min(1).mean(),
            },
        )
        comparison.assert_learned(state.behavior, oracle.net)
