"""EMPO's phases one by one: what each begins with, and how long it lasts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

from gem_jax import algorithms
from gem_jax.algorithms import empo
from gem_jax.testing import fakes

SMALL = empo.Config(
    batch_size=10,  # 7 steps a pass over the 64 transitions
    hidden_sizes=(4,),
    biased_epochs=2,
    uniform_epochs=3,
    em_epochs=4,
    critic_steps=11,
    value_epochs=2,
    improve_epochs=3,
    microbatch_size=30,
    num_steps=13,
)


def phases(**changes):
    config = dataclasses.replace(SMALL, **changes)
    algorithm = programs.compiled(algorithms.make("empo", config, fakes.SPEC))
    compiled = {phase.name: programs.compiled(phase) for phase in algorithm.phases}
    return algorithm, compiled


def test_lengths_and_refreshes():
    _, found = phases()
    sizes = {
        name: (phase.num_steps, phase.batch_size, phase.refresh_every)
        for name, phase in found.items()
    }
    assert sizes == {
        "biased": (14, 10, 14),
        "uniform": (21, 10, 21),
        "em": (28, 10, 7),
        "critic": (11, 10, 11),
        "value": (14, 10, 0),
        "improve": (9, 30, 9),
        "choose": (13, 10, 0),
    }


def known(algorithm, **biases):
    """A state of zeros but for the named parts' output biases: they are constants."""
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0))
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)

    def fill(path, leaf):
        text = jax.tree_util.keystr(path, simple=True, separator="/")
        for part, bias in biases.items():
            if text.startswith(part) and text.endswith("params/params/Dense_0/bias"):
                return np.broadcast_to(np.asarray(bias, leaf.dtype), leaf.shape)
        return leaf

    return jax.tree_util.tree_map_with_path(fill, state)


MEANS = np.arctanh([[0.9, 0.9], [-0.9, -0.9]])  # of the two clusters


@pytest.mark.parametrize("epochs", [(2, 0), (2, 3), (0, 0)])
def test_em_begins_from_even_posteriors_whatever_came_before(epochs, key):
    algorithm, found = phases(biased_epochs=epochs[0], uniform_epochs=epochs[1])
    # The clusters' policies are alike, and so the fresh posterior is even; the one
    # before is not.
    state = known(algorithm)
    one_sided = np.array([[1.0, 0.0]] * fakes.NUM_EPISODES, np.float32)
    clusters = dataclasses.replace(state.clusters, posterior=one_sided)
    dataset = fakes.random_transitions(key)
    for step, expected in [(0, [0.5, 0.5]), (7, [0.95, 0.05])]:
        moved = dataclasses.replace(state, clusters=clusters)
        after = found["em"].refresh(moved, key, dataset, step).clusters.posterior
        np.testing.assert_allclose(after, [expected] * 4, rtol=1e-5)


def test_labels_are_the_likelier_behaviors(key):
    algorithm, found = phases()
    state = known(algorithm)
    policies = state.clusters.target_policies["params"]
    output = {**policies["Dense_0"], "bias": np.float32(MEANS)}
    policies = {**policies, "Dense_0": output}
    clusters = dataclasses.replace(state.clusters, target_policies={"params": policies})
    state = dataclasses.replace(state, clusters=clusters)
    data = fakes.random_transitions(key)
    sign = np.where(np.asarray(data.extras["episode"]) % 3 == 0, -0.5, 0.5)
    action = np.broadcast_to(sign[:, None], data.action.shape).astype(np.float32)
    data = data._replace(action=action)
    label = found["critic"].refresh(state, key, data, 0).label
    np.testing.assert_array_equal(label, [1, 0, 0, 1])


@pytest.mark.parametrize("bootstrap", [False, True])
def test_the_last_step_of_a_cut_trajectory_is_worth_q(bootstrap, key):
    algorithm, found = phases(bootstrap_tail=bootstrap, discount=0.5)
    state = known(algorithm, **{"critic/q": [2.0, 3.0]})
    state = dataclasses.replace(state, label=np.array([0, 1, 1, 0]))
    terminal = (np.arange(64) == 31).astype(np.float32)
    data = fakes.random_transitions(key)._replace(
        reward=np.full(64, 8.0, np.float32), terminal=terminal
    )
    _, extras = found["value"].prepare(state, key, data)
    value = np.asarray(extras["return"])
    last = value[15::16]  # the second trajectory ends as a terminal
    expected = [2.0, 8.0, 3.0, 2.0] if bootstrap else [8.0] * 4
    np.testing.assert_allclose(last, expected, rtol=1e-5)
    before = value[14::16]
    np.testing.assert_allclose(before, 8.0 + 0.5 * last, rtol=1e-5)


def test_advantages_of_constant_values(key):
    algorithm, found = phases()
    state = known(algorithm, **{"critic/q": [2.0, 3.0], "value": [0.5, 0.25]})
    state = dataclasses.replace(
        state,
        label=np.array([0, 0, 0, 1]),
        advantage_scale=np.array([0.5, 2.0], np.float32),
    )
    improve = found["improve"]
    data = fakes.random_transitions(key)
    _, metrics = improve.update(state, key, improve.sample(key, data, 64, 0), 0)
    expected = (3 * (1.5 - 0.5) + (2.75 - 0.5)) / 4 / 2.0
    np.testing.assert_allclose(metrics["policy/advantage"], expected, rtol=1e-5)


def test_statistics_of_constant_advantages(key):
    """Rows of the first cluster have 1.5, the others 2.75; one value has no spread."""
    algorithm, found = phases(standardize_advantage=True)
    state = known(algorithm, **{"critic/q": [2.0, 3.0], "value": [0.5, 0.25]})
    state = dataclasses.replace(state, advantage_scale=np.array([0.0, 1.0], np.float32))
    data = fakes.random_transitions(key)
    alike = found["improve"].refresh(state, key, data, 0).advantage_scale
    np.testing.assert_allclose(alike, [1.5, 1e-6], rtol=1e-4)
    state = dataclasses.replace(state, label=np.array([0, 1, 1, 0]))
    half = found["improve"].refresh(state, key, data, 0).advantage_scale
    np.testing.assert_allclose(half, [2.125, 0.625], rtol=0.02)
    _, plain = phases()
    kept = plain["improve"].refresh(state, key, data, 0).advantage_scale
    np.testing.assert_array_equal(kept, state.advantage_scale)


@pytest.mark.parametrize(
    ("classified", "labels", "action"),
    [
        ([0.7, 0.3], [0, 1, 0, 1], -0.9),  # Q_H of the second, in distribution
        ([0.9, 0.1], [0, 1, 0, 1], 0.9),  # below a fifth: left out
        ([0.7, 0.3], [0, 0, 0, 0], 0.9),  # no trajectory is of the second
    ],
)
def test_act_takes_the_best_cluster_in_distribution(classified, labels, action, key):
    algorithm, _ = phases()
    state = known(
        algorithm,
        **{
            "policy": MEANS,
            "choice/q": [0.0, 1.0],
            "clusters/classifier": np.log(classified),
        },
    )
    state = dataclasses.replace(state, label=jnp.array(labels))
    output = algorithm.act(
        algorithm.actor_params(state), key, jnp.ones(3), jnp.int32(0), ()
    )
    np.testing.assert_allclose(output.action, [action, action], rtol=1e-5)
    assert output.audit["cluster"] == (action < 0)


def test_the_state_before_training(key):
    state = phases()[0].init(key)
    np.testing.assert_array_equal(state.advantage_scale, [0.0, 1.0])
    np.testing.assert_array_equal(state.clusters.posterior, np.full((4, 2), 0.5))
    np.testing.assert_array_equal(state.label, np.zeros(4))
    assert state.choice.value.params["params"]["Dense_0"]["bias"].shape == (1,)
    drawn = [part.params for part in (state.critic.q, state.value, state.choice.q)]
    trunks = [params["params"]["Dense_0"]["kernel"] for params in drawn]
    assert len({float(trunk.sum()) for trunk in trunks}) == 3  # from keys of their own
    jax.tree.map(
        np.testing.assert_array_equal,
        (state.policy.params, state.choice.target_q, state.critic.target_q),
        (state.clusters.target_policies, state.choice.q.params, state.critic.q.params),
    )


@pytest.mark.parametrize(("transitions", "episodes"), [(0, 1), (1, 0), (-1, 1)])
def test_the_size_of_the_data_must_be_known(transitions, episodes):
    spec = fakes.SPEC._replace(num_transitions=transitions, num_episodes=episodes)
    with pytest.raises(ValueError, match="num_transitions and num_episodes"):
        empo.make(SMALL, spec)


def test_one_transition_is_a_size():
    spec = fakes.SPEC._replace(num_transitions=1, num_episodes=1)
    assert empo.make(dataclasses.replace(SMALL, num_clusters=1), spec).num_steps > 0


def test_steps_that_are_followed_need_no_terminal(key):
    data = fakes.random_transitions(key)
    phases()[0].check(data._replace(terminal=jnp.zeros(64)), pytest.fail)


def test_terminals_alone_are_enough(key):
    data = fakes.random_transitions(key)
    lines = []
    single = data._replace(
        extras={"episode": jnp.arange(64)}, terminal=jnp.arange(64) == 5
    )
    phases()[0].check(single, lines.append)
    assert len(lines) == 1 and "one step" in lines[0]
