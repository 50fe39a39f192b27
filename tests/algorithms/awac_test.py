"""AWAC: gradient steps against float64 NumPy."""

import jax
import numpy as np
import pytest
from oracles import comparison, descent, learners, networks

from gem_jax.algorithms import awac

CONFIG = awac.Config(
    hidden_sizes=(5, 4),
    critic_layer_norm=True,
    learning_rate=0.01,
    discount=0.9,
    temperature=0.5,
    max_weight=1.5,
    polyak=0.3,
    log_std_min=-1.5,
    log_std_max=0.5,
)


class Oracle:
    """Nair et al. (2020), algorithm 1 offline; the advantage is over a sample."""

    def __init__(self, state):
        self.actor = learners.Mixture(state.actor, bounds=(-1.5, 0.5))
        self.critic = descent.Adam(state.values.critic.params)
        self.target_critic = descent.float64(state.values.target_critic)

    def sample(self, observation, noise):
        _, mean, log_std = networks.mixture(
            self.actor.net.params, observation, -1.5, 0.5
        )
        return np.clip(mean[:, 0] + np.exp(log_std[0]) * noise, -1, 1)

    def step(self, rows, next_noise, noise):
        following = self.sample(rows.next_observation, next_noise)
        low = networks.critics(
            self.target_critic, rows.next_observation, following, True
        ).min(0)
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, low)

        def critic_loss(params):
            q = networks.critics(params, rows.observation, rows.action, True)
            return ((q - goal) ** 2).mean()

        metrics = {"critic/loss": critic_loss(self.critic.params)}
        self.critic.descend(critic_loss, 0.01)
        own = self.sample(rows.observation, noise)
        advantage = np.subtract(
            *(
                networks.critics(
                    self.critic.params, rows.observation, action, True
                ).min(0)
                for action in (rows.action, own)
            )
        )
        weight = np.minimum(np.exp(advantage / 0.5), 1.5)
        metrics["actor/advantage"] = advantage.mean()
        metrics["actor/weight"] = weight.mean()
        metrics["actor/capped_share"] = (weight == 1.5).mean()
        of_actor = self.actor.step(rows, weight, 0.01)
        descent.polyak(self.target_critic, self.critic.params, 0.3)
        return metrics | {f"actor/{name}": of_actor[name] for name in ("loss", "nll")}


def test_updates():
    algorithm = awac.make(CONFIG, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        rows, key = comparison.batch(step), jax.random.key(step)
        noises = (
            np.asarray(jax.random.normal(k, (12, 2)), np.float64)
            for k in jax.random.split(key)
        )
        expected = oracle.step(comparison.widened(rows), *noises)
        assert 0 < expected["actor/capped_share"] < 1
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor.net)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target_critic)


@pytest.mark.parametrize("field", ["temperature", "max_weight"])
def test_bad_settings_name_the_field(field):
    with pytest.raises(ValueError, match=field):
        awac.Config(**{field: 0.0})
