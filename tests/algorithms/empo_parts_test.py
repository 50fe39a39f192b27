"""EMPO's learners by hand: values, policy gradient, choice, and their targets."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import programs

from gem_jax.algorithms.empo import choice_learner, policy_learner, value_learners
from gem_jax.learners import sarsa
from gem_jax.networks import bundle, gaussian, mlp
from gem_jax.ops import gaussian as gaussian_ops
from gem_jax.testing import fakes


def make_learner(num_chunks, size, clip=0.25):
    module = gaussian.GaussianNetwork((8,), 1, -5.0, 0.0)
    network = programs.compiled(gaussian.ensemble(bundle.from_module(module), 2))
    learner = policy_learner.make_policy_learner(
        network.apply, 1e-2, clip=clip, num_chunks=num_chunks, size=size
    )
    return network, learner


def inputs(size=12):
    key = jax.random.key(1)
    observation = jax.random.normal(key, (size, 2))
    label = jnp.arange(size) % 2
    return observation, label


def test_the_first_ppo_step_is_the_plain_policy_gradient(key):
    network, learner = make_learner(1, 12)
    observation, label = inputs()
    behavior = network.init(key, jnp.zeros(2))
    state = learner.start(behavior)

    def advantage(observation, action, label):
        return action[:, 0] + label

    new, metrics = jax.jit(learner.update, static_argnums=6)(
        state, key, behavior, observation, label, jnp.ones(12), advantage
    )
    action, gain = proposed(network, behavior, key, observation, label, advantage)[:2]
    np.testing.assert_allclose(metrics["policy/loss"], -gain.mean(), rtol=1e-5)
    assert metrics["policy/clipped"] == 0.0  # the ratio is 1

    def plain(params):
        policy = policy_learner.own(network.apply(params, observation), label)
        return -jnp.mean(gaussian_ops.log_prob(policy, action) * gain)

    jax.tree.map(  # Adam's first moment is a tenth of the gradient
        lambda a, b: np.testing.assert_allclose(10 * a, b, rtol=1e-4, atol=1e-6),
        jax.device_get(new.opt_state.inner_opt_state[0].mu),
        jax.jit(jax.grad(plain))(behavior),
    )


def proposed(network, behavior, key, observation, label, advantage):
    """Actions of the behavior, their gain and log-density."""

    @jax.jit
    def run(params):
        old = policy_learner.own(network.apply(params, observation), label)
        action, gain = policy_learner.propose(
            key, old, lambda a: advantage(observation, a, label)
        )
        return action, gain, gaussian_ops.log_prob(old, action)

    return run(behavior)


def test_the_ratio_s_denominator_stays_the_behavior(key):
    network, learner = make_learner(1, 12)
    observation, label = inputs()
    behavior = network.init(key, jnp.zeros(2))
    moved = jax.tree.map(lambda leaf: leaf + 0.02, behavior)

    def advantage(observation, action, label):
        return action[:, 0]

    _, metrics = jax.jit(learner.update, static_argnums=6)(
        *(learner.start(moved), key, behavior, observation, label, jnp.ones(12)),
        advantage,
    )
    action, gain, before = proposed(
        network, behavior, key, observation, label, advantage
    )

    @jax.jit
    def log_prob(params):
        policy = policy_learner.own(network.apply(params, observation), label)
        return gaussian_ops.log_prob(policy, action)

    ratio = np.exp(np.asarray(log_prob(moved)) - np.asarray(before))
    clipped = np.clip(ratio, 0.75, 1.25)
    gain = np.asarray(gain)
    expected = -np.minimum(ratio * gain, clipped * gain).mean()
    np.testing.assert_allclose(metrics["policy/loss"], expected, rtol=1e-5)
    assert 0.0 < metrics["policy/clipped"] < 1.0


def test_proposals_are_judged_as_they_would_be_executed(key):
    wide = gaussian_ops.Gaussian(jnp.zeros((200, 2)), jnp.ones((200, 2)))
    action, judged = policy_learner.propose(key, wide, lambda a: a)
    assert action.min() < -2.0 and action.max() > 2.0
    np.testing.assert_array_equal(judged, np.clip(action, -1.0, 1.0))


def apart_from_target(state):
    """The state with an online Q that differs from its target."""
    online = jax.tree.map(lambda leaf: leaf + 0.1, state.q.params)
    return dataclasses.replace(state, q=state.q._replace(params=online))


def assert_target_waits(learner, before, data, label):
    """Moves at every second step alone; returns the states after the first two."""
    first, _ = learner.update(before, data, label, 0)
    assert (first_leaf(first.target_q) == first_leaf(before.target_q)).all()
    second, _ = learner.update(first, data, label, 1)
    third, _ = learner.update(second, data, label, 2)
    fourth, _ = learner.update(third, data, label, 3)
    assert (first_leaf(third.target_q) == first_leaf(second.target_q)).all()
    assert (first_leaf(fourth.target_q) != first_leaf(third.target_q)).any()
    return first, second


def test_sarsa_and_its_target_by_hand(key):
    network = programs.compiled(bundle.from_module(mlp.Head((8,), 2)))
    learner = value_learners.make_sarsa_learner(
        fakes.SPEC,
        optax.adam(1e-2),
        hidden_sizes=(8,),
        num_clusters=2,
        discount=0.5,
        polyak=0.25,
        target_period=2,
    )
    learner = programs.compiled(learner)
    data = fakes.random_transitions(key, 8)
    data = data._replace(terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0]))
    _, extras = sarsa.next_actions(None, None, data)
    data = data._replace(extras={**data.extras, **extras})
    label = data.extras["episode"] % 2
    state = apart_from_target(learner.init(key))
    _, metrics = learner.update(state, data, label, 0)

    def q(params, observation, action):
        both = jnp.concatenate([observation, action], axis=-1)
        return np.asarray(network.apply(params, both))[np.arange(8), np.asarray(label)]

    after = q(state.target_q, data.next_observation, extras["next_action"])
    target = np.asarray(data.reward) + 0.5 * (1 - np.asarray(data.terminal)) * after
    error = q(state.q.params, data.observation, data.action) - target
    kept = np.array([1, 1, 1, 0, 1, 0, 1, 0])  # no target across a time limit
    np.testing.assert_allclose(metrics["critic/loss"], np.mean(kept * error**2), 1e-5)
    new, last = assert_target_waits(learner, state, data, label)
    expected = 0.75 * first_leaf(new.target_q) + 0.25 * first_leaf(last.q.params)
    np.testing.assert_allclose(first_leaf(last.target_q), expected, rtol=1e-5)


def test_value_regresses_on_the_return_of_its_own_cluster(key):
    network = programs.compiled(bundle.from_module(mlp.Head((4,), 2)))
    learner = programs.compiled(
        value_learners.make_value_learner(
            fakes.SPEC, optax.sgd(1.0), hidden_sizes=(4,), num_clusters=2
        )
    )
    data = fakes.random_transitions(key, 8)
    target = np.arange(8.0, dtype=np.float32)
    data = data._replace(extras={**data.extras, "return": jnp.asarray(target)})
    label = np.array([0, 1, 1, 1, 0, 0, 1, 1])
    state = learner.init(key)
    new, metrics = learner.update(state, data, jnp.asarray(label))
    v = np.asarray(network.apply(state.params, data.observation))[np.arange(8), label]
    np.testing.assert_allclose(metrics["value/loss"], np.mean((v - target) ** 2), 1e-5)
    np.testing.assert_allclose(metrics["value/v"], np.mean(v), 1e-5)
    # The outputs' bias takes each cluster's share of the error, once the rate is 1.
    (moved,) = (
        np.asarray(before) - np.asarray(after)
        for before, after in zip(
            *map(jax.tree.leaves, (state.params, new.params)), strict=True
        )
        if before.shape == (2,)
    )
    error = 2 * (v - target) / 8
    expected = [error[label == 0].sum(), error[label == 1].sum()]
    np.testing.assert_allclose(moved, expected, rtol=1e-4)


def test_choice_and_its_target_by_hand(key):
    q_net, v_net = (
        programs.compiled(bundle.from_module(mlp.Head((4,), n))) for n in (2, 1)
    )
    learner = choice_learner.make_choice_learner(
        fakes.SPEC,
        optax.adam(1e-2),
        hidden_sizes=(4,),
        num_clusters=2,
        discount=0.5,
        expectile=0.9,
        n_step=3,
        target_period=2,
    )
    learner = programs.compiled(learner)
    data = fakes.random_transitions(key, 8)
    _, extras = learner.prepare(None, None, data)
    data = data._replace(extras={**data.extras, **extras})
    label = data.extras["episode"] % 2
    state = apart_from_target(learner.init(key))
    _, metrics = learner.update(state, data, label, 0)

    def v(observation):
        return np.asarray(v_net.apply(state.value.params, observation))[:, 0]

    def q(params):
        return np.asarray(q_net.apply(params, data.observation))[
            np.arange(8), np.asarray(label)
        ]

    known = jax.device_get(extras)
    target = known["n_return"] + known["n_discount"] * v(known["n_observation"])
    expected = np.mean((q(state.q.params) - np.asarray(target)) ** 2)
    np.testing.assert_allclose(metrics["choice/q_loss"], expected, rtol=1e-5)
    above = q(state.target_q) - v(data.observation)
    expected = np.mean(np.where(above < 0, 0.1, 0.9) * above**2)
    np.testing.assert_allclose(metrics["choice/value_loss"], expected, rtol=1e-5)
    _, last = assert_target_waits(learner, state, data, label)
    assert (first_leaf(last.target_q) == first_leaf(last.q.params)).all()


def first_leaf(tree):
    return np.asarray(max(jax.tree.leaves(tree), key=lambda leaf: leaf.size))


def test_chunks_add_up_to_the_gradient_of_the_whole(key):
    """The same chunk twice is the data twice; rows of weight 0 count for nothing."""
    observation, label = inputs(8)
    weight = jnp.array([1.0] * 6 + [0.0] * 2)
    states = []
    for num_chunks in (1, 2):
        network, learner = make_learner(num_chunks, 6 * num_chunks)
        behavior = network.init(key, jnp.zeros(2))
        state = learner.start(jax.tree.map(lambda leaf: leaf + 0.01, behavior))
        update = jax.jit(learner.update, static_argnums=6)
        for _ in range(num_chunks):
            state, _ = update(
                *(state, key, behavior, observation, label, weight),
                lambda s, a, z: jnp.where(weight > 0, s[:, 0] + a[:, 0], 1e6),
            )
        assert state.opt_state.gradient_step == 1
        states.append(state)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-7),
        states[0].opt_state.inner_opt_state[0].mu,
        states[1].opt_state.inner_opt_state[0].mu,
    )
    assert any(
        np.abs(m).max() > 1e-4
        for m in jax.tree.leaves(states[0].opt_state.inner_opt_state[0].mu)
    )


def test_choice_keeps_to_clusters_in_distribution():
    log_prob = jnp.log(jnp.array([0.7, 0.2, 0.1]))
    q = jnp.array([0.0, 1.0, 2.0])

    def choose(ratio):
        return int(choice_learner.best_in_distribution(q, log_prob, ratio))

    assert choose(1.0) == 0  # the classifier's own choice
    assert choose(5.0) == 1
    assert choose(1e9) == 2


def test_targets_stay_inside_trajectories():
    data = fakes.random_transitions(jax.random.key(0), 8)._replace(
        terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0])
    )
    _, extras = sarsa.next_actions(None, None, data)
    # Trajectories of two steps; the first ends terminally, the others by time limit.
    np.testing.assert_array_equal(extras["has_target"], [1, 1, 1, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(extras["next_action"][0], data.action[1])


def test_bootstrapped_targets_by_hand():
    data = fakes.random_transitions(jax.random.key(0), 8)._replace(
        reward=jnp.arange(8.0), terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0])
    )
    learner = choice_learner.make_choice_learner(
        fakes.SPEC,
        None,
        hidden_sizes=(4,),
        num_clusters=2,
        discount=0.5,
        expectile=0.9,
        n_step=3,
        target_period=1,
    )
    _, extras = learner.prepare(None, None, data)
    np.testing.assert_allclose(extras["n_return"], [0.5, 1, 3.5, 3, 6.5, 5, 9.5, 7])
    # No bootstrap beyond the terminal; from the state after the time limit otherwise.
    np.testing.assert_allclose(extras["n_discount"], [0, 0, *[0.25, 0.5] * 3])
    np.testing.assert_array_equal(
        extras["n_observation"][2:4], jnp.stack([data.next_observation[3]] * 2)
    )


def test_returns_by_hand_with_and_without_a_bootstrapped_tail():
    # Trajectories of two steps; the first ends terminally, the others by time limit.
    data = fakes.random_transitions(jax.random.key(0), 8)._replace(
        reward=jnp.arange(8.0), terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0])
    )
    prepare = value_learners.discounted_returns(0.5)
    _, plain = prepare(None, None, data)
    np.testing.assert_allclose(plain["return"], [0.5, 1, 3.5, 3, 6.5, 5, 9.5, 7])
    prepare = value_learners.discounted_returns(
        0.5, 4, lambda state, batch: 100.0 * batch.extras["episode"]
    )
    _, tailed = jax.jit(prepare)(None, None, data)
    np.testing.assert_allclose(
        tailed["return"], [0.5, 1, 52.0, 100, 104.0, 200, 156.0, 300]
    )
