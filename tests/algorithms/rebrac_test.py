"""ReBRAC: gradient steps against float64 NumPy, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import comparison, descent, networks

from gem_jax import errors
from gem_jax.algorithms import rebrac
from gem_jax.testing import fakes

CONFIG = rebrac.Config(
    hidden_sizes=(5, 4),
    actor_learning_rate=0.003,
    critic_learning_rate=0.002,
    discount=0.9,
    polyak=0.3,
    actor_cloning=0.4,
    critic_cloning=0.6,
    policy_noise=0.4,
    noise_clip=0.3,
)


class Oracle:
    """Tarasov et al. (2023), Eq. 3 and 4 on top of TD3."""

    def __init__(self, state):
        self.actor = descent.Adam(state.actor.params)
        self.critic = descent.Adam(state.critic.params)
        self.target_actor = descent.float64(state.target_actor)
        self.target_critic = descent.float64(state.target_critic)

    def step(self, rows, noise, moves_actor):
        action = networks.policy(self.target_actor, rows.next_observation)
        action = np.clip(action + np.clip(noise, -0.3, 0.3), -1, 1)
        next_pair = rows.next_observation, action
        low = networks.critics(self.target_critic, *next_pair, True).min(0)
        away = ((action - rows.extras["next_action"]) ** 2).sum(1)
        low = low - 0.6 * rows.extras["has_target"] * away
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, low)

        def critic_loss(params):
            q = networks.critics(params, rows.observation, rows.action, True)
            return ((q - goal) ** 2).mean()

        metrics = {"critic/loss": critic_loss(self.critic.params)}
        self.critic.descend(critic_loss, 0.002)

        def lowest(params):
            action = networks.policy(params, rows.observation)
            q = networks.critics(self.critic.params, rows.observation, action, True)
            return networks.smallest(q)

        scale = np.abs(lowest(self.actor.params)).mean()  # a constant

        def actor_loss(params):
            away = (networks.policy(params, rows.observation) - rows.action) ** 2
            return (0.4 * away.sum(1) - lowest(params) / scale).mean()

        metrics["actor/loss"] = actor_loss(self.actor.params)
        metrics["actor/q"] = lowest(self.actor.params).mean()
        if moves_actor:
            self.actor.descend(actor_loss, 0.003)
            descent.polyak(self.target_actor, self.actor.params, 0.3)
            descent.polyak(self.target_critic, self.critic.params, 0.3)
        return metrics


def test_updates():
    algorithm = rebrac.make(CONFIG, comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[0].update)
    for step in range(3):
        # In batches 0 to 2 a gradient nearly vanishes, and Adam steps by its rounding.
        rows, key = comparison.batch(3 + step), jax.random.key(step)
        extras = {
            "next_action": np.roll(rows.action, -1, 0),
            "has_target": (np.arange(len(rows.reward)) % 4 != 1).astype(np.float32),
        }
        rows = rows._replace(extras=extras)
        noise = 0.4 * np.asarray(jax.random.normal(key, rows.action.shape), np.float64)
        state, metrics = update(state, key, rows, step)
        expected = oracle.step(comparison.widened(rows), noise, step % 2 == 0)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.critic, oracle.critic)
        comparison.assert_params(state.target_actor, oracle.target_actor)
        comparison.assert_params(state.target_critic, oracle.target_critic)


def test_data_without_trajectories_are_refused(key):
    algorithm = rebrac.make(CONFIG, fakes.SPEC)
    data = fakes.random_transitions(key)._replace(extras={})
    with pytest.raises(errors.UserError, match="trajectory of each step"):
        algorithm.check(data, print)


def test_the_next_action_is_the_trajectorys_own(key):
    data = fakes.random_transitions(key)
    size = len(data.reward)
    data = data._replace(
        terminal=jnp.zeros(size), extras={"episode": jnp.arange(size) // 4}
    )
    algorithm = rebrac.make(CONFIG, fakes.SPEC)
    state = algorithm.init(key)
    _, extras = algorithm.phases[0].prepare(state, key, data)
    np.testing.assert_array_equal(extras["next_action"][2], data.action[3])
    np.testing.assert_array_equal(extras["has_target"][:8], [1, 1, 1, 0, 1, 1, 1, 0])


@pytest.mark.parametrize(
    "field",
    ["actor_cloning", "critic_cloning", "actor_learning_rate"],
)
def test_bad_settings_name_the_field(field):
    with pytest.raises(ValueError, match=field):
        rebrac.Config(**{field: -1.0})
