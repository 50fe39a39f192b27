"""Diffusion-QL: its updates against float64 NumPy, gradients through the chain too."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_modes
from oracles import comparison, descent, networks

from gem_jax.algorithms import diffusion_ql
from gem_jax.testing import fakes

T = 2
KEYS = (0, 1)  # without and with the critics swapped
CONFIG = diffusion_ql.Config(
    hidden_sizes=(5, 4),
    learning_rate=0.005,
    critic_learning_rate=0.004,
    max_grad_norm=0.2,
    discount=0.9,
    polyak=0.3,
    eta=0.7,
    num_backup=2,
    averaging_rate=0.25,
    averaging_period=2,
    averaging_start=2,
    sampling_steps=T,
)


def kept(time):
    """alpha^2 of the diffusion."""
    return np.exp(-0.1 * time - 0.5 * 9.9 * time**2)


def predict(params, observation, x, time):
    """The noise in actions `[B, A]` at times `[B, 1]`."""
    angles = time * np.geomspace(1.0, 200.0, 16)
    embedded = np.concatenate([np.sin(angles), np.cos(angles)], 1)
    embedded = networks.mish(networks.dense(params["Dense_0"], embedded))
    embedded = networks.dense(params["Dense_1"], embedded)
    rest = {**params, "Dense_0": params["Dense_2"]}
    context = np.concatenate([observation, embedded], 1)
    return networks.pair(rest, context, x, activation=networks.mish)


def sample(params, observation, start, draws):
    """Ho et al. (2020), Eq. 6 and 7, with betas as in Diffusion-QL."""
    x = start
    for number, draw in zip(range(T, 0, -1), draws, strict=True):
        beta = 1 - np.exp(-0.1 / T - 0.5 * 9.9 * (2 * number - 1) / T**2)
        here, after = kept(number / T), kept((number - 1) / T)
        at = np.full((len(x), 1), number / T)
        noise = predict(params, observation, x, at)
        action = networks.clipped(
            (x - np.sqrt(1 - here) * noise) / np.sqrt(here), -1, 1
        )
        mean = beta * np.sqrt(after) * action / (1 - here)
        mean = mean + (1 - after) * np.sqrt(1 - beta) * x / (1 - here)
        spread = np.sqrt(beta * (1 - after) / (1 - here)) if number > 1 else 0.0
        x = mean + spread * draw
    return x


def drawn(key, rows=12):
    """What the chain of ``rows`` actions draws from a key."""
    start_key, noise_key = jax.random.split(key)
    keys = [start_key, *jax.random.split(noise_key, T)]
    start, *draws = (np.asarray(jax.random.normal(k, (rows, 2)), float) for k in keys)
    return start, draws


class Oracle:
    """Wang et al. (2023), algorithm 1."""

    def __init__(self, state):
        self.actor = descent.Adam(state.actor.params)
        self.target_actor = descent.float64(state.target_actor)
        self.critic = descent.Adam(state.values.critic.params)
        self.target_critic = descent.float64(state.values.target_critic)

    def q(self, params, observation, action):
        return networks.critics(params, observation, action, activation=networks.mish)

    def step(self, rows, key, step):
        target_key, actor_key = jax.random.split(key)
        after = rows.next_observation
        best = np.max(
            [
                self.q(
                    self.target_critic,
                    after,
                    sample(self.target_actor, after, *drawn(one)),
                )
                for one in jax.random.split(target_key, 2)
            ],
            0,
        )
        goal = rows.reward + 0.9 * np.where(rows.terminal, 0, best.min(0))

        def critic_loss(params):
            return ((self.q(params, rows.observation, rows.action) - goal) ** 2).mean()

        metrics = {"critic/loss": critic_loss(self.critic.params)}
        self.critic.descend(critic_loss, 0.004, 0.2 / 2)

        clone_key, sample_key, order_key = jax.random.split(actor_key, 3)
        noise_key, time_key = jax.random.split(clone_key)
        noise = np.asarray(jax.random.normal(noise_key, (12, 2)), np.float64)
        time = np.asarray(jax.random.randint(time_key, (12, 1), 1, T + 1), float) / T
        noisy = np.sqrt(kept(time)) * rows.action + np.sqrt(1 - kept(time)) * noise
        start, draws = drawn(sample_key)
        first, second = (1, 0) if jax.random.bernoulli(order_key) else (0, 1)
        scale = None

        def losses(params):
            nonlocal scale
            errors = (predict(params, rows.observation, noisy, time) - noise) ** 2
            action = sample(params, rows.observation, start, draws)
            q = self.q(self.critic.params, rows.observation, action)
            if scale is None:  # a constant of the gradient
                scale = np.abs(q[second]).mean()
            return errors.mean(), q[first].mean()

        cloning, q = losses(self.actor.params)

        def actor_loss(params):
            cloning, q = losses(params)
            return cloning - 0.7 * q / scale

        metrics |= {
            "actor/loss": actor_loss(self.actor.params),
            "actor/cloning_loss": cloning,
            "actor/q": q,
        }
        self.actor.descend(actor_loss, 0.005, 0.2)
        descent.polyak(self.target_critic, self.critic.params, 0.3)
        if step % 2 == 0 and step >= 2:
            descent.polyak(self.target_actor, self.actor.params, 0.25)
        return metrics


def start(algorithm):
    """Sines of large angles, times large weights, would raise the rounding."""
    state = comparison.start(algorithm)
    smaller = jax.tree.map(lambda leaf: 0.3 * leaf, state.actor.params)
    return dataclasses.replace(
        state,
        actor=state.actor._replace(params=smaller),
        target_actor=jax.tree.map(jnp.copy, smaller),
    )


def test_updates():
    algorithm = diffusion_ql.make(CONFIG, comparison.SPEC)
    state = start(algorithm)
    oracle = Oracle(state)
    update = jax.jit(algorithm.phases[0].update)
    for step, number in ((0, 0), (2, 1)):
        rows, key = comparison.batch(step), jax.random.key(KEYS[number])
        assert bool(jax.random.bernoulli(_ordering(key))) == bool(number)
        expected = oracle.step(comparison.widened(rows), key, step)
        state, metrics = update(state, key, rows, step)
        comparison.assert_metrics(metrics, expected)
        comparison.assert_learned(state.actor, oracle.actor)
        comparison.assert_learned(state.values.critic, oracle.critic)
        comparison.assert_params(state.values.target_critic, oracle.target_critic)
        comparison.assert_params(state.target_actor, oracle.target_actor)
    assert oracle.actor.shrunk and oracle.critic.shrunk
    # The slow copy moves at every other step, from step 2 on.
    for step, moves in ((0, False), (1, False), (2, True), (3, False)):
        after, _ = update(state, key, rows, step)
        pairs = zip(
            *map(jax.tree.leaves, (after.target_actor, state.target_actor)), strict=True
        )
        assert any((a != b).any() for a, b in pairs) == moves


def _ordering(key):
    """The key by which the two critics are swapped, of the one for an update."""
    return jax.random.split(jax.random.split(key)[1], 3)[2]


def test_acting_draws_one_of_its_samples_by_their_values():
    """Of 400 draws from three samples, shares as exp(alpha Q) of the slow critics."""
    algorithm = diffusion_ql.make(CONFIG, comparison.SPEC)
    state = start(algorithm)
    oracle = Oracle(state)
    critic = state.values.critic
    other = critic._replace(params=jax.tree.map(jnp.negative, critic.params))
    state = state.replace(values=state.values.replace(critic=other))  # does not choose
    params = algorithm.actor_params(state)
    observation = jnp.array([0.3, -0.2, 0.1])
    keys = jax.random.split(jax.random.key(0), 400)
    knobs = diffusion_ql.Knobs(3, T, 10.0)
    act = jax.vmap(lambda k: algorithm.act(params, k, observation, 0, knobs).action)
    rows = np.repeat(np.asarray(observation, np.float64)[None], 3, 0)
    expected, found = [], []
    for key, action in zip(keys, np.asarray(jax.jit(act)(keys)), strict=True):
        candidates = sample(oracle.actor.params, rows, *drawn(_proposing(key), 3))
        q = oracle.q(oracle.target_critic, rows, candidates).min(0)
        weight = np.exp(10.0 * (q - q.max()))
        distances = np.abs(candidates - action).max(1)
        assert distances.min() < 1e-4
        expected.append((weight / weight.sum()).max())
        found.append(distances.argmin() == weight.argmax())
    assert 0.4 < np.mean(expected) < 0.95  # neither even nor the best alone
    np.testing.assert_allclose(np.mean(found), np.mean(expected), atol=0.07)


def _proposing(key):
    """The key that samples, of the one for acting."""
    return jax.random.split(key)[0]


def test_the_gradient_leaves_the_rewarded_mode():
    config = diffusion_ql.Config(
        num_steps=300,
        batch_size=64,
        hidden_sizes=(32, 32),
        learning_rate=3e-3,
        critic_learning_rate=3e-3,
        eta=10.0,
        sampling_steps=3,
    )
    act = two_modes.train(diffusion_ql.make(config, fakes.BANDIT_SPEC))
    assert np.mean(act(diffusion_ql.Knobs(1, 3)) > 0.2) > 0.95


@pytest.mark.parametrize(
    ("field", "bad"),
    [
        *(("num_candidates", 0), ("sampling_steps", 0), ("alpha", -1.0)),
        *(("num_backup", 0), ("eta", -1.0), ("max_grad_norm", 0.0)),
    ],
)
def test_bad_settings_name_the_field(field, bad):
    with pytest.raises(ValueError, match=field):
        diffusion_ql.Config(**{field: bad})
