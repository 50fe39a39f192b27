"""EMPO's phases on data with a known answer."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, clustering, errors
from gem_jax.algorithms import empo
from gem_jax.algorithms.empo import value_learners
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
    averaging_rate=0.05,
    critic_steps=300,
    value_epochs=20,
    improve_epochs=20,
    microbatch_size=300,
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


def silent(line):
    raise AssertionError(line)


@pytest.fixture(scope="module")
def trained():
    data, spec, truth = two_behaviors()
    algorithm = algorithms.make("empo", SMALL, spec)
    chunks = recording.keep(trained_on(algorithm, data))
    ends = {c.phase: loop.select_seed(c.state, 0).algorithm for c in chunks}
    return algorithm, loop.normalized(data)[0], truth, ends, chunks


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
    clusterer = clustering.make(SMALL, 2, 1, EPISODES, 100)
    steps = clustering.Trajectories(
        data.observation, data.action, data.extras["episode"]
    )
    of_behaviors = jax.jit(clusterer.responsibilities)
    raw = np.asarray(of_behaviors(state.clusters.target_policies, steps))
    np.testing.assert_array_equal(state.label, np.argmax(raw, axis=1))
    assert np.abs(raw - state.clusters.posterior).max() > 1e-3  # the smoothed one


def test_improvement_starts_from_the_averaged_behaviors(trained):
    algorithm, data, _, ends, _ = trained
    clusters = ends["value"].clusters
    behaviors = clusters.target_policies
    (improve,) = [p for p in algorithm.phases if p.name == "improve"]
    refresh = jax.jit(improve.refresh)
    state = refresh(ends["value"], jax.random.key(0), data, 0)
    jax.tree.map(np.testing.assert_array_equal, state.policy.params, behaviors)
    batch = improve.sample(jax.random.key(0), data, 300, 0)
    _, metrics = jax.jit(improve.update)(state, jax.random.key(1), batch, 0)
    assert metrics["policy/clipped"] == 0.0  # the ratio to these is 1
    other = dataclasses.replace(
        state, policy=state.policy._replace(params=clusters.policies.params)
    )
    _, metrics = jax.jit(improve.update)(other, jax.random.key(1), batch, 0)
    assert metrics["policy/clipped"] > 0.0


def test_stages_begin_with_their_posteriors(trained):
    *_, ends, _ = trained
    assert set(np.unique(ends["biased"].clusters.posterior)) == {0.0, 1.0}
    np.testing.assert_array_equal(ends["uniform"].clusters.posterior, 0.5)
    np.testing.assert_allclose(ends["em"].clusters.posterior.sum(1), 1.0, rtol=1e-6)
    assert ends["em"].clusters.posterior.max() > 0.9


def test_values_are_those_of_each_behavior(trained):
    algorithm, data, truth, ends, _ = trained
    state = ends["choose"]
    learner = value_learners.make_value_learner(
        EnvSpec(2, 1, 1), None, hidden_sizes=(16, 16), num_clusters=2
    )
    label = state.label[data.extras["episode"]]
    v = jax.jit(learner.apply)(state.value.params, data.observation, label)
    clear = np.abs(data.observation[:, 0]) > 0.2
    assert np.corrcoef(v[clear], data.reward[clear])[0, 1] > 0.9


def test_acts_by_the_better_cluster_of_each_state(trained):
    algorithm, _, truth, ends, _ = trained
    params = algorithm.actor_params(ends["choose"])
    sides = jnp.array([[-0.6, 0.0], [0.6, 0.0]])
    output = jax.jit(acts_on(algorithm))(params, sides)
    assert output.action[0, 0] < -0.3 and output.action[1, 0] > 0.3
    label = ends["choose"].label
    expected = [label[truth == 0][0], label[truth == 1][0]]
    np.testing.assert_array_equal(output.audit["cluster"], expected)


def acts_on(algorithm):
    """What a policy does in some states: (params, observation [S, O]) to [S, A]."""
    one = functools.partial(algorithm.act, key=jax.random.key(0), t=0, knobs=())
    return jax.vmap(lambda p, o: one(p, observation=o), (None, 0))


def test_a_cluster_without_trajectories_never_acts(trained):
    algorithm, _, _, ends, _ = trained
    act = jax.jit(acts_on(algorithm))
    state = ends["choose"]
    for only in (0, 1):
        state = dataclasses.replace(state, label=jnp.full_like(state.label, only))
        params = algorithm.actor_params(state)
        output = act(params, jnp.array([[-0.6, 0.0], [0.6, 0.0]]))
        np.testing.assert_array_equal(output.audit["cluster"], [only, only])


def trained_on(algorithm, data):
    keys = loop.seed_keys([0])
    return loop.run(algorithm, keys, data, loop.init(algorithm, keys))


def identical_trajectories():
    """To the algorithm of ``trained``, whose programs serve again."""
    data, spec, _ = two_behaviors()
    first = jax.tree.map(lambda leaf: leaf[:STEPS], data._replace(extras={}))
    same = jax.tree.map(lambda leaf: jnp.concatenate([leaf] * EPISODES), first)
    return same._replace(extras=data.extras), spec, SMALL


def trajectories_of_one_step():
    data, spec, _ = two_behaviors()
    size = len(data.reward)
    single = data._replace(extras={"episode": np.arange(size, dtype=np.int32)})
    short = dataclasses.replace(SMALL, em_epochs=2, critic_steps=20, num_steps=20)
    return single, spec._replace(num_episodes=size), short


@pytest.mark.parametrize(
    ("make", "warning"),
    [
        (identical_trajectories, "not identifiable"),
        (trajectories_of_one_step, "every trajectory has one step"),
    ],
    ids=["identical", "length one"],
)
def test_what_cannot_be_clustered_is_told_and_stays_finite(make, warning):
    data, spec, config = make()
    algorithm = algorithms.make("empo", config, spec)
    lines = []
    algorithm.check(data, lines.append)
    assert len(lines) == 1 and warning in lines[0]
    *_, last = trained_on(algorithm, data)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(last.state))


def test_one_cluster_is_plain_ppo():
    data, spec, _ = two_behaviors()
    config = dataclasses.replace(
        SMALL, num_clusters=1, biased_epochs=0, uniform_epochs=0, em_epochs=10
    )
    algorithm = algorithms.make("empo", config, spec)
    assert algorithm.phases[-1].name == "improve"
    chunks = recording.keep(trained_on(algorithm, data))
    state = loop.select_seed(chunks[-1].state, 0).algorithm
    sides = jnp.array([[-0.8, 0.0], [0.8, 0.0]])
    act = jax.jit(acts_on(algorithm))

    def actions(policy):
        params = algorithm.actor_params(state)._replace(policy=policy)
        output = act(params, sides)
        np.testing.assert_array_equal(output.audit["cluster"], [0.0, 0.0])
        return output.action[:, 0]

    cloned = actions(state.clusters.target_policies)
    improved = actions(state.policy.params)
    assert improved[0] < cloned[0] and improved[1] > cloned[1]


def test_standardized_advantages(key):
    data, spec, _ = two_behaviors()
    config = dataclasses.replace(SMALL, standardize_advantage=True)
    algorithm = algorithms.make("empo", config, spec)
    (improve,) = [p for p in algorithm.phases if p.name == "improve"]
    fresh = jax.jit(algorithm.init)(key)
    state = jax.jit(improve.refresh)(fresh, key, data, 0)
    mean, deviation = state.advantage_scale
    assert deviation > 0 and (mean, deviation) != (0.0, 1.0)
    dataset = improve.sample(key, data, 800, 0)
    _, metrics = jax.jit(improve.update)(state, jax.random.key(5), dataset, 0)
    assert abs(metrics["policy/advantage"]) < 0.2


def test_minibatches_are_a_switch():
    config = dataclasses.replace(SMALL, full_batch=False)
    algorithm = algorithms.make("empo", config, two_behaviors()[1])
    (improve,) = [p for p in algorithm.phases if p.name == "improve"]
    assert (improve.batch_size, improve.num_steps) == (64, 20 * 13)


def test_clustering_may_have_short_epochs():
    config = dataclasses.replace(SMALL, epoch_steps=3, em_epochs=7)
    algorithm = algorithms.make("empo", config, two_behaviors()[1])
    phases = {p.name: p for p in algorithm.phases}
    assert (phases["em"].num_steps, phases["em"].refresh_every) == (21, 3)
    assert phases["value"].num_steps % 13 == 0  # passes over the data


def test_switched_off_stages_are_left_out():
    config = dataclasses.replace(SMALL, biased_epochs=0, uniform_epochs=0)
    algorithm = algorithms.make("empo", config, two_behaviors()[1])
    assert [p.name for p in algorithm.phases][:2] == ["em", "critic"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("support_ratio", 0.5), ("support_ratio", np.nan), ("num_clusters", 0)),
        *(("momentum", 1.0), ("n_step", 0), ("n_step", 1001)),
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
    assert "num_steps has no effect" in lines[0] and "one trajectory" in lines[1]


def test_steps_without_a_successor_are_refused_unless_terminal():
    data, spec, _ = trajectories_of_one_step()
    algorithm = algorithms.make("empo", SMALL, spec)
    unending = data._replace(terminal=jnp.zeros(len(data.terminal)))
    with pytest.raises(errors.UserError, match="nothing to learn values from"):
        algorithm.check(unending, silent)
