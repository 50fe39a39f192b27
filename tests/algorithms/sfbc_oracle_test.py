"""SfBC: gradient steps and planning against float64 NumPy."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
from oracles import comparison, descent, networks

from gem_jax.algorithms import sfbc

CONFIG = sfbc.Config(
    hidden_sizes=(5, 4),
    learning_rate=0.03,
    behavior_hidden_sizes=(4, 3),
    behavior_learning_rate=0.005,
    planning_samples=3,
    planning_alpha=2.0,
    sampling_steps=4,
    discount=0.9,
)
ALGORITHM = sfbc.make(CONFIG, comparison.SPEC._replace(num_transitions=12))
PHASES = {phase.name: phase for phase in ALGORITHM.phases}


def critic(params, observation, action):
    x = networks.silu(networks.dense(params, np.concatenate([observation, action], 1)))
    for name in sorted(params["MLP_0"]):
        x = networks.silu(networks.dense(params["MLP_0"][name], x))
    return networks.dense(params["Dense_0"], x)[:, 0]


def test_the_behavior_predicts_noise():
    state = comparison.start(ALGORITHM)
    oracle = descent.Adam(state.behavior.params)
    update = jax.jit(PHASES["behavior"].update)
    for step in range(3):
        rows, key = comparison.batch(step), jax.random.key(step)
        noise_key, time_key = jax.random.split(key)
        noise = np.asarray(jax.random.normal(noise_key, (12, 2)), np.float64)
        time = jax.random.uniform(time_key, (12,), minval=1e-5, maxval=1.0)
        time = np.asarray(time, np.float64)
        log_alpha = -0.25 * time**2 * 19.9 - 0.05 * time
        alpha, sigma = np.exp(log_alpha), np.sqrt(1 - np.exp(2 * log_alpha))
        wide = comparison.widened(rows)
        x = alpha[:, None] * wide.action + sigma[:, None] * noise

        def loss(params, wide=wide, x=x, time=time, noise=noise):
            error = networks.score(params, wide.observation, x, time) - noise
            return (error**2).sum(1).mean()

        expected = {"behavior/loss": loss(oracle.params)}
        oracle.descend(loss, 0.005)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.behavior, oracle)


def test_the_critic_learns_standardized_returns():
    state = comparison.start(ALGORITHM)
    returns = np.linspace(-3.0, 5.0, 12)
    scale = returns.mean(), returns.std()
    state = dataclasses.replace(
        state, returns=jnp.float32(returns), scale=jnp.float32(scale)
    )
    oracle = descent.Adam(state.critic.params)
    rows = comparison.batch(0)
    place = np.arange(12)[::-1]
    goal = ((returns - scale[0]) / scale[1])[place]
    wide = comparison.widened(rows)

    def loss(params):
        return ((critic(params, wide.observation, wide.action) - goal) ** 2).mean()

    batch = rows._replace(extras={"row": place.astype(np.int32)})
    update = jax.jit(PHASES["critic_2"].update)
    for step in range(3):
        expected = {"critic/loss": loss(oracle.params)}
        oracle.descend(loss, 0.03)
        state, metrics = update(state, jax.random.key(0), batch, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.critic, oracle)


def solve(params, observation, start):
    """DPM-Solver++(2M) by the formulas of its paper, `[M, A]` of one state."""
    ends = np.array([1.0, 1e-3])
    alphas = np.exp(-0.25 * ends**2 * 19.9 - 0.05 * ends)
    ratios = np.log(alphas / np.sqrt(1 - alphas**2))
    grid = np.linspace(*ratios, CONFIG.sampling_steps + 1)
    x, last = start, None
    observations = np.tile(observation, (len(x), 1))
    for i in range(CONFIG.sampling_steps):
        (a, s), (a_next, s_next) = (
            (1 / np.sqrt(1 + np.exp(-2 * r)), 1 / np.sqrt(1 + np.exp(2 * r)))
            for r in grid[i : i + 2]
        )
        # -0.25 t^2 19.9 - 0.05 t = log a
        time = (np.sqrt(0.05**2 - 19.9 * np.log(a)) - 0.05) / (0.5 * 19.9)
        noise = networks.score(params, observations, x, np.full(len(x), time))
        action = (x - s * noise) / a
        best = action
        if 0 < i < CONFIG.sampling_steps - 1:
            best = 1.5 * action - 0.5 * last
        h = grid[i + 1] - grid[i]
        x, last = s_next / s * x + a_next * (1 - np.exp(-h)) * best, action
    return np.clip(x, -1, 1)


def test_planning_values_next_states_by_the_behaviors_actions():
    state = comparison.start(ALGORITHM)
    state = dataclasses.replace(state, scale=jnp.array([2.0, 3.0]))
    rows = comparison.batch(1)
    extras = {
        "row": np.array([3, 1, 0, 2, 4, 5, 6, 7, 8, 9, 11, 11], np.int32),
        "weight": np.float32([1] * 11 + [0]),
    }
    key = jax.random.key(5)
    plan = jax.jit(PHASES["planning_2"].update)
    found, metrics = plan(state, key, rows._replace(extras=extras), 0)
    behavior = descent.float64(state.behavior.params)
    q_params = descent.float64(state.critic.params)
    expected, values = np.zeros(12), []
    for i, sample_key in enumerate(jax.random.split(key, 12)):
        observation = np.float64(rows.next_observation[i])
        start = np.float64(jax.random.normal(sample_key, (3, 2)))
        actions = solve(behavior, observation, start)
        q = critic(q_params, np.tile(observation, (3, 1)), actions)
        weight = np.exp(2.0 * q)
        values.append(2.0 + 3.0 * (weight * q).sum() / weight.sum())
        if extras["weight"][i]:
            expected[extras["row"][i]] = values[-1]
    assert len(np.unique(expected)) == 12  # one row was not asked for, and stays 0
    np.testing.assert_allclose(found.next_value, expected, rtol=1e-4, atol=1e-4)
    used = (extras["weight"] > 0) & (rows.terminal == 0)
    expected_mean = np.array(values)[used].mean()
    np.testing.assert_allclose(metrics["next_value/mean"], expected_mean, rtol=1e-4)
