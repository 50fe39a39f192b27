"""LOM on data with a known answer, and what it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gem_jax import algorithms, errors
from gem_jax.algorithms import lom
from gem_jax.learners import mode_values
from gem_jax.ops import mixture
from gem_jax.testing import fakes
from gem_jax.training import loop
from gem_jax.types import EnvSpec

MEANS = np.array([-0.5, 0.0, 0.4])
STDS = np.array([0.05, 0.3, 0.1])


def test_mode_values_are_the_means_of_q_under_each_mode():
    """Q(s, a) = -(a - s)^2, of which mode u has -(mu - s)^2 - sigma^2 in the mean."""
    learner = mode_values.make_mode_learner(
        EnvSpec(1, 1, 1), optax.adam(3e-3), hidden_sizes=(64, 64), num_components=3
    )
    observation = np.linspace(-0.5, 0.5, 64, dtype=np.float32)[:, None]
    shape = (64, 3, 1)
    behavior = mixture.Mixture(
        logits=np.zeros(shape[:2], np.float32),
        means=np.broadcast_to(np.float32(MEANS)[:, None], shape),
        log_stds=np.broadcast_to(np.log(np.float32(STDS))[:, None], shape),
    )
    behavior = jax.device_put(behavior)

    def q_fn(one, action):
        return -jnp.sum((action - one[None]) ** 2, axis=-1)

    def step(state, key):
        state, *_ = learner.update(state, key, observation, behavior, q_fn)
        return state, None

    @jax.jit
    def learned(key):
        keys = jax.random.split(jax.random.key(1), 3000)
        state, _ = jax.lax.scan(step, learner.init(key), keys)
        return learner.apply(state.params, observation)

    found = np.asarray(learned(jax.random.key(0)))
    expected = -((MEANS - observation) ** 2) - STDS**2
    np.testing.assert_allclose(found, expected, atol=0.03)
    clear = np.abs(np.diff(np.sort(expected, 1)[:, 1:])[:, 0]) > 0.03
    np.testing.assert_array_equal(found.argmax(1)[clear], expected.argmax(1)[clear])


def test_the_rewarded_mode_is_found_by_every_seed():
    config = lom.Config(
        num_steps=400,
        batch_size=32,
        modes_batch_size=32,
        hidden_sizes=(32,),
        learning_rate=3e-3,
        critic_learning_rate=3e-3,
        num_components=2,
        behavior_steps=800,
        behavior_batch_size=32,
        behavior_hidden_sizes=(32,),
        behavior_learning_rate=3e-3,
        log_std_min=-4.0,
    )
    algorithm = lom.make(config, fakes.BANDIT_SPEC)
    data = fakes.two_mode_bandit(jax.random.key(1))
    data = data._replace(extras={"episode": jnp.arange(len(data.reward))})
    keys = loop.seed_keys(range(10))
    state = loop.init(algorithm, keys)
    for chunk in loop.run(algorithm, keys, data, state):
        state = chunk.state
    observation = np.linspace(-1.5, 1.5, 20)[:, None]  # normalized
    act = jax.jit(jax.vmap(algorithm.act, in_axes=(None, None, 0, None, None)))
    for seed in range(10):
        params = algorithm.actor_params(loop.select_seed(state, seed).algorithm)
        action = act(params, jax.random.key(0), observation, 0, ()).action
        np.testing.assert_allclose(action, fakes.BANDIT_MODE, atol=0.3)


def test_what_it_cannot_learn_from_is_refused():
    data = fakes.random_transitions(jax.random.key(0))
    algorithm = algorithms.make("lom", lom.Config(num_components=65), fakes.SPEC)
    with pytest.raises(errors.UserError, match="65 modes need .* got 64"):
        algorithm.check(data, print)
    algorithm = algorithms.make("lom", lom.Config(), fakes.SPEC)
    algorithm.check(data, print)
    with pytest.raises(errors.UserError, match=r'need dataset.extras\["episode"\]'):
        algorithm.check(data._replace(extras={}), print)
    single = data._replace(
        extras={"episode": np.arange(64)}, terminal=jnp.zeros_like(data.terminal)
    )
    with pytest.raises(errors.UserError, match="nothing to learn values from"):
        algorithm.check(single, print)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("num_components", 0), ("beta", -1.0), ("action_noise", -0.1)),
        *(("modes_batch_size", 255), ("baseline", "q"), ("max_weight", 0.0)),
    ],
)
def test_bad_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        lom.Config(**{field: value})


def test_one_mode_of_constant_rewards_is_chosen_and_stays_finite(key):
    data = fakes.random_transitions(key)
    data = data._replace(reward=jnp.ones_like(data.reward))
    config = algorithms.tiny_config("lom", num_components=1)
    algorithm = algorithms.make("lom", config, fakes.SPEC)
    policy = algorithm.phases[1]

    @jax.jit
    def step(state):
        _, extras = policy.prepare(state, key, data)
        batch = policy.sample(key, data._replace(extras=extras), 8, 0)
        return policy.update(state, key, batch, 0)

    state, metrics = step(jax.jit(algorithm.init)(key))
    assert metrics["modes/chosen_0"] == metrics["modes/chosen_share"] == 1.0
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(state))
