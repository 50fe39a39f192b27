"""SAC-N and EDAC: gradient steps against float64 NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from oracles import comparison, descent, networks

from gem_jax.algorithms import edac, sac_n
from gem_jax.ops import gaussian

SIZES = dict(
    hidden_sizes=(5, 4),
    learning_rate=0.004,
    num_critics=3,
    discount=0.9,
    polyak=0.3,
    log_std_min=-0.5,
    log_std_max=0.4,
)


class Oracle:
    """An et al. (2021), appendix; the temperature first, as in their code."""

    def __init__(self, state, eta, normed):
        self.actor = descent.Adam(state.actor.params)
        self.temperature = descent.Adam({"log": np.asarray(state.temperature.params)})
        self.critic = descent.Adam(state.values.critic.params)
        self.target_critic = descent.float64(state.values.target_critic)
        self.eta, self.normed = eta, normed

    def sample(self, params, observation, noise):
        mean, log_std = networks.tanh_gaussian(params, observation, -0.5, 0.4)
        raw = mean + np.exp(log_std) * noise
        normal = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)
        action = np.tanh(raw)
        return action, (normal - np.log(1 - action**2)).sum(1)

    def step(self, rows, noises):
        tuning, acting, following = noises
        _, log_prob = self.sample(self.actor.params, rows.observation, tuning)
        shortfall = (log_prob - 2.0).mean()  # two actions: entropy -2
        self.temperature.descend(lambda p: -p["log"] * shortfall, 0.004)
        alpha = np.exp(self.temperature.params["log"])

        def actor_loss(params):
            action, log_prob = self.sample(params, rows.observation, acting)
            q = networks.critics(
                self.critic.params, rows.observation, action, self.normed
            )
            return (alpha * log_prob - networks.smallest(q)).mean()

        metrics = {"actor/loss": actor_loss(self.actor.params)}
        self.actor.descend(actor_loss, 0.004)
        after = rows.next_observation
        action, log_prob = self.sample(self.actor.params, after, following)
        low = networks.critics(self.target_critic, after, action, self.normed).min(0)
        soft = low - alpha * log_prob
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, soft)

        def squares(params):
            q = networks.critics(params, rows.observation, rows.action, self.normed)
            return ((q - goal) ** 2).mean()

        def critic_loss(params):
            if not self.eta:
                return squares(params)
            slope = networks.slopes(params, rows.observation, rows.action)
            unit = slope / np.sqrt((slope**2).sum(2, keepdims=True))
            pairs = sum(
                (unit[i] * unit[j]).sum(1) for i in range(3) for j in range(3) if i != j
            )
            return squares(params) + self.eta * pairs.mean() / 2 / 3

        metrics["critic/loss"] = squares(self.critic.params)
        self.critic.descend(critic_loss, 0.004)
        descent.polyak(self.target_critic, self.critic.params, 0.3)
        return metrics | {"temperature/alpha": alpha}


@pytest.mark.parametrize(("module", "eta"), [(sac_n, 0.0), (edac, 4.0)])
def test_updates(module, eta):
    normed = not eta  # slopes are written out for plain layers
    changes = SIZES | ({"eta": eta} if eta else {"critic_layer_norm": True})
    algorithm = module.make(module.Config(**changes), comparison.SPEC)
    state = comparison.start(algorithm)
    oracle = Oracle(state, eta, normed)
    slope = networks.slopes(
        oracle.critic.params, *(comparison.widened(comparison.batch(0))[:2])
    )
    assert (np.abs(slope).max(2) > 0).all()  # no unit vector is 0 / 0
    update = jax.jit(algorithm.phases[0].update)
    for step in range(2):
        rows, key = comparison.batch(step), jax.random.key(step)
        noises = [
            np.asarray(jax.random.normal(k, (12, 2)), np.float64)
            for k in jax.random.split(key, 3)
        ]
        expected = oracle.step(comparison.widened(rows), noises)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target_critic)
    states = comparison.batch(0).observation
    mean, log_std = networks.tanh_gaussian(oracle.actor.params, states, -0.5, 0.4)
    assert {-0.5, 0.4} <= set(log_std.ravel())  # both bounds hold somewhere
    acting = jax.vmap(lambda o: algorithm.act(state.actor.params, key, o, 0, ()).action)
    np.testing.assert_allclose(acting(states), np.tanh(mean), rtol=1e-4, atol=1e-5)


def test_squashed_densities_far_out(key):
    means, log_stds = jnp.array([[0.3, -1.0], [2.0, 9.0]]), jnp.full((2, 2), -0.5)
    action, log_prob = gaussian.squashed_sample(key, gaussian.Gaussian(means, log_stds))
    raw = gaussian.sample(key, gaussian.Gaussian(means, log_stds))
    np.testing.assert_allclose(action, np.tanh(raw), rtol=1e-6)
    normal = -0.5 * ((raw - means) / np.exp(-0.5)) ** 2 + 0.5 - 0.5 * np.log(2 * np.pi)
    wide = np.asarray(raw, np.float64)
    slope = np.log(4.0) - 2 * wide - 2 * np.log1p(np.exp(-2 * wide))
    np.testing.assert_allclose(log_prob, (normal - slope).sum(1), rtol=1e-5)


@pytest.mark.parametrize(
    ("module", "field", "bad"),
    [(sac_n, "num_critics", 0), (edac, "num_critics", 1), (edac, "eta", -1.0)],
)
def test_bad_settings_name_the_field(module, field, bad):
    with pytest.raises(ValueError, match=field):
        module.Config(**{field: bad})
