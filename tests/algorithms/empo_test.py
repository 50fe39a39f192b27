"""EMPO's parts by hand, and its phases on data with a known answer."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gem_jax import algorithms, clustering, errors
from gem_jax.algorithms import _empo_choice, _empo_policy, _empo_values, empo
from gem_jax.networks import bundle, gaussian, mlp
from gem_jax.ops import gaussian as gaussian_ops
from gem_jax.testing import fakes, recording
from gem_jax.training import loop
from gem_jax.types import EnvSpec

SMALL = empo.Config(
    num_steps=400,
    batch_size=64,
    hidden_sizes=(16, 16),
    learning_rate=3e-3,
    discount=0.9,
    biased_epochs=2,
    uniform_epochs=4,
    em_epochs=30,
    critic_steps=300,
    value_epochs=20,
    improve_epochs=20,
    chunk_size=300,
    choice_target_period=20,
    expectile=0.9,
    bootstrap_tail=True,
)
EPISODES, STEPS = 16, 50


def two_behaviors():
    """One step left or right; right is worth 1 where x > 0, left where x < 0.

    Even trajectories go left everywhere, odd ones right, so neither behavior is good.
    """
    rng = np.random.default_rng(0)
    size = EPISODES * STEPS
    episode = np.arange(size) // STEPS
    observation = rng.uniform(-1, 1, (size, 2)).astype(np.float32)
    label = episode % 2
    action = 0.5 * (2.0 * label - 1.0) + 0.2 * rng.normal(size=size)
    reward = np.sign(observation[:, 0]) * np.sign(action)
    data = fakes.Transition(
        observation=jnp.asarray(observation),
        action=jnp.asarray(action, jnp.float32).clip(-1.0, 1.0)[:, None],
        reward=jnp.asarray(reward, jnp.float32),
        next_observation=jnp.asarray(np.roll(observation, -1, axis=0)),
        terminal=jnp.ones(size),
        extras={"episode": jnp.asarray(episode, jnp.int32)},
    )
    spec = EnvSpec(2, 1, 1, num_transitions=size, num_episodes=EPISODES)
    return data, spec, np.arange(EPISODES) % 2


@pytest.fixture(scope="module")
def trained():
    data, spec, truth = two_behaviors()
    algorithm = algorithms.make("empo", SMALL, spec)
    keys = loop.seed_keys([0])
    state = loop.init(algorithm, keys)
    chunks = recording.keep(loop.run(algorithm, keys, data, state))
    ends = {chunk.phase: loop.select_seed(chunk.state, 0) for chunk in chunks}
    return algorithm, data, truth, ends, chunks


def test_phases_run_in_the_papers_order(trained):
    algorithm, data, _, _, chunks = trained
    names = [phase.name for phase in algorithm.phases]
    assert names == ["biased", "uniform", "em", "critic", "value", "improve", "choose"]
    epoch = -(-EPISODES * STEPS // 64)
    em = [chunk.phase_step for chunk in chunks if chunk.phase == "em"]
    assert em == [epoch * (i + 1) for i in range(30)]
    passes = -(-EPISODES * STEPS // 300)
    assert algorithm.phases[5].num_steps == 20 * passes


def test_labels_are_those_of_the_final_behaviors(trained):
    algorithm, data, truth, ends, _ = trained
    state = ends["choose"]
    assert clustering.rand_index(truth, state.label) == 1.0
    clusterer = clustering.make(SMALL.clustering(), 2, 1, EPISODES)
    steps = clustering.Trajectories(
        state.normalizer(data.observation), data.action, data.extras["episode"]
    )
    raw = clusterer.responsibilities(state.clusters.policies.params, steps)
    np.testing.assert_array_equal(state.label, np.argmax(raw, axis=1))
    assert np.abs(raw - state.clusters.posterior).max() > 1e-3  # the smoothed one


def test_stages_begin_with_their_posteriors(trained):
    *_, ends, _ = trained
    assert set(np.unique(ends["biased"].clusters.posterior)) == {0.0, 1.0}
    np.testing.assert_array_equal(ends["uniform"].clusters.posterior, 0.5)
    np.testing.assert_allclose(ends["em"].clusters.posterior.sum(1), 1.0, rtol=1e-6)
    assert ends["em"].clusters.posterior.max() > 0.9


def test_values_are_those_of_each_behavior(trained):
    algorithm, data, truth, ends, _ = trained
    state = ends["choose"]
    learner = _empo_values.make_value_learner(
        EnvSpec(2, 1, 1), None, hidden_sizes=(16, 16), num_clusters=2
    )
    label = state.label[data.extras["episode"]]
    v = learner.value(state.value.params, state.normalizer(data.observation), label)
    clear = np.abs(data.observation[:, 0]) > 0.2
    assert np.corrcoef(v[clear], data.reward[clear])[0, 1] > 0.9


def test_acts_by_the_better_cluster_of_each_state(trained):
    algorithm, _, truth, ends, _ = trained
    params = algorithm.actor_params(ends["choose"])
    sides = jnp.array([[-0.6, 0.0], [0.6, 0.0]])
    act = jax.vmap(lambda o: algorithm.act(params, jax.random.key(0), o, 0, ()))
    output = act(sides)
    assert output.action[0, 0] < -0.3 and output.action[1, 0] > 0.3
    label = ends["choose"].label
    expected = [label[truth == 0][0], label[truth == 1][0]]
    np.testing.assert_array_equal(output.audit["cluster"], expected)


def test_one_cluster_is_plain_ppo():
    data, spec, _ = two_behaviors()
    config = dataclasses.replace(
        SMALL, num_clusters=1, biased_epochs=0, uniform_epochs=0, em_epochs=10
    )
    algorithm = algorithms.make("empo", config, spec)
    assert algorithm.phases[-1].name == "improve"
    keys = loop.seed_keys([0])
    chunks = recording.keep(loop.run(algorithm, keys, data, loop.init(algorithm, keys)))
    state = loop.select_seed(chunks[-1].state, 0)
    sides = jnp.array([[-0.8, 0.0], [0.8, 0.0]])

    def actions(policy):
        params = algorithm.actor_params(state)._replace(policy=policy)
        act = jax.vmap(lambda o: algorithm.act(params, jax.random.key(0), o, 0, ()))
        output = act(sides)
        np.testing.assert_array_equal(output.audit["cluster"], [0.0, 0.0])
        return output.action[:, 0]

    cloned = actions(state.clusters.policies.params)
    improved = actions(state.policy.params)
    assert improved[0] < cloned[0] and improved[1] > cloned[1]


def make_learner(num_chunks, size, clip=0.25):
    network = gaussian.ensemble(
        bundle.from_module(gaussian.GaussianNetwork((8,), 1, -5.0, 0.0)), 2
    )
    learner = _empo_policy.make_policy_learner(
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

    new, metrics = learner.update(
        state, key, behavior, observation, label, jnp.ones(12), advantage
    )
    old = _empo_policy.own(network.apply(behavior, observation), label)
    action, gain = _empo_policy.propose(
        key, old, lambda a: advantage(observation, a, label)
    )
    np.testing.assert_allclose(metrics["policy/loss"], -gain.mean(), rtol=1e-5)
    assert metrics["policy/clipped"] == 0.0  # the ratio is 1

    def plain(params):
        policy = _empo_policy.own(network.apply(params, observation), label)
        return -jnp.mean(gaussian_ops.log_prob(policy, action) * gain)

    jax.tree.map(  # Adam's first moment is a tenth of the gradient
        lambda a, b: np.testing.assert_allclose(10 * a, b, rtol=1e-4, atol=1e-6),
        new.opt_state.inner_opt_state[0].mu,
        jax.grad(plain)(behavior),
    )


def test_the_ratio_s_denominator_stays_the_behavior(key):
    network, learner = make_learner(1, 12)
    observation, label = inputs()
    behavior = network.init(key, jnp.zeros(2))
    moved = jax.tree.map(lambda leaf: leaf + 0.02, behavior)
    _, metrics = learner.update(
        learner.start(moved),
        key,
        behavior,
        observation,
        label,
        jnp.ones(12),
        lambda s, a, z: a[:, 0],
    )
    old, new = (
        _empo_policy.own(network.apply(params, observation), label)
        for params in (behavior, moved)
    )
    action, gain = _empo_policy.propose(key, old, lambda a: a[:, 0])
    ratio = np.exp(
        gaussian_ops.log_prob(new, action) - gaussian_ops.log_prob(old, action)
    )
    clipped = np.clip(ratio, 0.75, 1.25)
    expected = -np.minimum(ratio * gain, clipped * gain).mean()
    np.testing.assert_allclose(metrics["policy/loss"], expected, rtol=1e-5)
    assert 0.0 < metrics["policy/clipped"] < 1.0


def test_sarsa_and_its_target_by_hand(key):
    network = bundle.from_module(mlp.Head((8,), 2))
    learner = _empo_values.make_sarsa_learner(
        fakes.SPEC,
        optax.adam(1e-2),
        hidden_sizes=(8,),
        num_clusters=2,
        discount=0.5,
        polyak=0.25,
        target_period=2,
    )
    data = fakes.random_transitions(key, 8)
    data = data._replace(terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0]))
    _, extras = _empo_values.next_actions(None, None, data)
    data = data._replace(extras={**data.extras, **extras})
    label = data.extras["episode"] % 2
    state = learner.init(key)
    online = jax.tree.map(lambda leaf: leaf + 0.1, state.q.params)
    state = dataclasses.replace(state, q=state.q._replace(params=online))
    new, metrics = learner.update(state, data, label, 0)

    def q(params, observation, action):
        both = jnp.concatenate([observation, action], axis=-1)
        return np.asarray(network.apply(params, both))[np.arange(8), np.asarray(label)]

    after = q(state.target_q, data.next_observation, extras["next_action"])
    target = np.asarray(data.reward) + 0.5 * (1 - np.asarray(data.terminal)) * after
    error = q(online, data.observation, data.action) - target
    kept = np.array([1, 1, 1, 0, 1, 0, 1, 0])  # no target across a time limit
    np.testing.assert_allclose(metrics["critic/loss"], np.mean(kept * error**2), 1e-5)
    same = first_leaf(new.target_q) == first_leaf(state.target_q)
    assert same.all()  # after the first of two steps
    last, _ = learner.update(new, data, label, 1)
    expected = 0.75 * first_leaf(new.target_q) + 0.25 * first_leaf(last.q.params)
    np.testing.assert_allclose(first_leaf(last.target_q), expected, rtol=1e-5)


def test_choice_and_its_target_by_hand(key):
    q_net, v_net = (bundle.from_module(mlp.Head((4,), n)) for n in (2, 1))
    learner = _empo_choice.make_choice_learner(
        fakes.SPEC,
        optax.adam(1e-2),
        hidden_sizes=(4,),
        num_clusters=2,
        discount=0.5,
        expectile=0.9,
        n_step=3,
        target_period=2,
    )
    data = fakes.random_transitions(key, 8)
    _, extras = learner.prepare(None, None, data)
    data = data._replace(extras={**data.extras, **extras})
    label = data.extras["episode"] % 2
    state = learner.init(key)
    online = jax.tree.map(lambda leaf: leaf + 0.1, state.q.params)
    state = dataclasses.replace(state, q=state.q._replace(params=online))
    new, metrics = learner.update(state, data, label, 0)

    def v(observation):
        return np.asarray(v_net.apply(state.value.params, observation))[:, 0]

    def q(params):
        return np.asarray(q_net.apply(params, data.observation))[
            np.arange(8), np.asarray(label)
        ]

    target = extras["n_return"] + extras["n_discount"] * v(extras["n_observation"])
    expected = np.mean((q(online) - np.asarray(target)) ** 2)
    np.testing.assert_allclose(metrics["choice/q_loss"], expected, rtol=1e-5)
    above = q(state.target_q) - v(data.observation)
    expected = np.mean(np.where(above < 0, 0.1, 0.9) * above**2)
    np.testing.assert_allclose(metrics["choice/value_loss"], expected, rtol=1e-5)
    assert (first_leaf(new.target_q) == first_leaf(state.target_q)).all()
    last, _ = learner.update(new, data, label, 1)
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
        for _ in range(num_chunks):
            state, _ = learner.update(
                state,
                key,
                behavior,
                observation,
                label,
                weight,
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
        return int(_empo_choice.best_in_distribution(q, log_prob, ratio))

    assert choose(1.0) == 0  # the classifier's own choice
    assert choose(5.0) == 1
    assert choose(1e9) == 2


def test_targets_stay_inside_trajectories():
    data = fakes.random_transitions(jax.random.key(0), 8)._replace(
        terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0])
    )
    _, extras = _empo_values.next_actions(None, None, data)
    # Trajectories of two steps; the first ends terminally, the others by time limit.
    np.testing.assert_array_equal(extras["has_target"], [1, 1, 1, 0, 1, 0, 1, 0])
    np.testing.assert_array_equal(extras["next_action"][0], data.action[1])


def test_bootstrapped_targets_by_hand():
    data = fakes.random_transitions(jax.random.key(0), 8)._replace(
        reward=jnp.arange(8.0), terminal=jnp.array([0, 1, 0, 0, 0, 0, 0, 0.0])
    )
    learner = _empo_choice.make_choice_learner(
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
    prepare = _empo_values.discounted_returns(0.5)
    _, plain = prepare(None, None, data)
    np.testing.assert_allclose(plain["return"], [0.5, 1, 3.5, 3, 6.5, 5, 9.5, 7])
    prepare = _empo_values.discounted_returns(
        0.5, 4, lambda state, batch: 100.0 * batch.extras["episode"]
    )
    _, tailed = jax.jit(prepare)(None, None, data)
    np.testing.assert_allclose(
        tailed["return"], [0.5, 1, 52.0, 100, 104.0, 200, 156.0, 300]
    )


def test_standardized_advantages(key):
    data, spec, _ = two_behaviors()
    config = dataclasses.replace(SMALL, standardize_advantage=True)
    algorithm = algorithms.make("empo", config, spec)
    (improve,) = [p for p in algorithm.phases if p.name == "improve"]
    state = improve.refresh(algorithm.init(key), key, data)
    mean, deviation = state.advantage_scale
    assert deviation > 0 and (mean, deviation) != (0.0, 1.0)
    dataset = improve.sample(key, data, 800, 0)
    _, metrics = improve.update(state, jax.random.key(5), dataset)
    assert abs(metrics["policy/advantage"]) < 0.2


def test_minibatches_are_a_switch():
    config = dataclasses.replace(SMALL, full_batch=False)
    algorithm = algorithms.make("empo", config, two_behaviors()[1])
    (improve,) = [p for p in algorithm.phases if p.name == "improve"]
    assert (improve.batch_size, improve.num_steps) == (64, 20 * 13)


def test_switched_off_stages_are_left_out():
    config = dataclasses.replace(SMALL, biased_epochs=0, uniform_epochs=0)
    algorithm = algorithms.make("empo", config, two_behaviors()[1])
    assert [p.name for p in algorithm.phases][:2] == ["em", "critic"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("support_ratio", 0.5), ("support_ratio", np.nan), ("num_clusters", 0)),
        *(("momentum", 1.0), ("n_step", 0)),
    ],
)
def test_bad_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        empo.Config(**{field: value})


def test_data_without_ends_and_sizes_are_refused():
    data, spec, _ = two_behaviors()
    algorithm = algorithms.make("empo", SMALL, spec._replace(num_episodes=1))
    endless = data._replace(extras={"episode": np.zeros(len(data.reward), np.int32)})
    with pytest.raises(errors.UserError, match="ends of the episodes"):
        algorithm.check(endless, print)
    with pytest.raises(ValueError, match="num_transitions"):
        algorithms.make("empo", SMALL, EnvSpec(2, 1, 1))
    lines = []
    one = dataclasses.replace(SMALL, num_clusters=1)
    algorithm = algorithms.make("empo", one, spec._replace(num_episodes=1))
    algorithm.check(endless, lines.append)
    assert len(lines) == 1 and "one trajectory" in lines[0]


def test_steps_without_a_successor_are_refused_unless_terminal():
    data, spec, _ = two_behaviors()
    size = len(data.reward)
    algorithm = algorithms.make("empo", SMALL, spec._replace(num_episodes=size))
    single = data._replace(extras={"episode": np.arange(size, dtype=np.int32)})
    lines = []
    algorithm.check(single, lines.append)  # every step is terminal
    assert len(lines) == 1 and "every trajectory has one step" in lines[0]
    with pytest.raises(errors.UserError, match="nothing to learn values from"):
        algorithm.check(single._replace(terminal=jnp.zeros(size)), lines.append)
