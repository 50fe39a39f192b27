"""TD3+BC: gradient steps against float64 NumPy."""

import jax
import numpy as np
from oracles import comparison, descent, networks

from gem_jax.algorithms import td3_bc
from gem_jax.types import DISCOUNT


class Oracle:
    """Fujimoto and Gu (2021): critics at each step, the rest at every other."""

    def __init__(self, state):
        self.actor = descent.Adam(state.actor.params)
        self.critic = descent.Adam(state.critic.params)
        self.target_actor = descent.float64(state.target_actor)
        self.target_critic = descent.float64(state.target_critic)

    def step(self, rows, noise, moves_actor):
        action = networks.policy(self.target_actor, rows.next_observation)
        action = np.clip(action + np.clip(noise, -0.3, 0.3), -1, 1)
        low = networks.critics(self.target_critic, rows.next_observation, action).min(0)
        discount = rows.extras[DISCOUNT]
        goal = rows.reward + discount * np.where(rows.terminal, 0, low)

        def critic_loss(params):
            q = networks.critics(params, rows.observation, rows.action)
            return ((q - goal) ** 2).mean()

        q = networks.critics(self.critic.params, rows.observation, rows.action)
        metrics = {"critic/loss": critic_loss(self.critic.params), "critic/q": q.mean()}
        self.critic.descend(critic_loss, 0.03)

        def value_of(params):
            action = networks.policy(params, rows.observation)
            return networks.critics(self.critic.params, rows.observation, action)[0]

        scale = 1.5 / np.abs(value_of(self.actor.params)).mean()  # a constant

        def actor_loss(params):
            error = networks.policy(params, rows.observation) - rows.action
            return (error**2).mean() - scale * value_of(params).mean()

        metrics["actor/loss"] = actor_loss(self.actor.params)
        if moves_actor:
            self.actor.descend(actor_loss, 0.03)
            descent.polyak(self.target_actor, self.actor.params, 0.3)
            descent.polyak(self.target_critic, self.critic.params, 0.3)
        return metrics


def test_updates():
    config = td3_bc.Config(
        hidden_sizes=(5, 4),
        learning_rate=0.03,
        discount=0.9,
        polyak=0.3,
        alpha=1.5,
        policy_noise=0.4,
        noise_clip=0.3,
        actor_period=2,
    )
    algorithm = td3_bc.make(config, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(4):
        rows, key = comparison.batch(step), jax.random.key(step)
        spans = np.arange(len(rows.reward)) % 3 + 1  # rewards in each target
        rows = rows._replace(extras={DISCOUNT: np.float32(0.9) ** spans})
        noise = 0.4 * np.asarray(jax.random.normal(key, rows.action.shape), np.float64)
        assert (np.abs(noise) > 0.3).any() and (np.abs(noise) < 0.3).any()
        state, metrics = update(state, key, rows, step)
        expected = oracle.step(comparison.widened(rows), noise, step % 2 == 0)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.critic, oracle.critic)
        comparison.assert_params(state.target_actor, oracle.target_actor)
        comparison.assert_params(state.target_critic, oracle.target_critic)
