"""The clusterer against plain NumPy, on policies that are easy to tell apart."""

import dataclasses

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import clustering
from gem_jax.clustering import fitting, likelihood
from gem_jax.testing import trajectories

SMALL = clustering.Settings(
    hidden_sizes=(16,),
    learning_rate=1e-2,
    batch_size=64,
    biased_epochs=2,
    uniform_epochs=3,
    em_epochs=10,
)


def silent(line):
    raise AssertionError(line)


def jitted(settings, num_trajectories, num_transitions=100):
    """A clusterer whose functions are each one program, and not one for every step."""
    plain = clustering.make(settings, 3, 2, num_trajectories, num_transitions)
    return clustering.Clusterer(*map(jax.jit, plain))


@pytest.fixture(scope="module")
def small():
    """The programs for six trajectories."""
    return jitted(SMALL, 6)


@pytest.fixture(scope="module")
def fitted():
    data, label = trajectories.two_policies()
    epochs = []
    fit = clustering.fit(
        jax.random.key(0), data, SMALL, on_epoch=epochs.append, log=silent
    )
    return data, label, fit, epochs


def test_two_policies_are_told_apart(fitted):
    _, label, fit, epochs = fitted
    assert clustering.rand_index(label, fit.assignment) == 1.0
    assert fit.posterior.shape == (24, 2) and fit.assignment.dtype == np.int32
    np.testing.assert_allclose(fit.posterior.sum(1), 1.0, rtol=1e-6)
    assert [e.stage for e in epochs] == ["biased"] * 2 + ["uniform"] * 3 + ["em"] * 10
    assert [e.number for e in epochs] == list(range(15))
    even, last = (epochs[i].metrics["policies/posterior_entropy"] for i in (2, -1))
    np.testing.assert_allclose(even, np.log(2.0), rtol=1e-5)
    assert last < even and epochs[0].metrics["policies/posterior_entropy"] == 0.0
    assert all(("classifier/kl" in e.metrics) == (e.stage == "em") for e in epochs)


def test_epochs_may_be_shorter_than_a_pass():
    data, label = trajectories.two_policies()
    short = dataclasses.replace(SMALL, epoch_steps=4, em_epochs=40)
    assert SMALL.steps_per_epoch(1_000) == 16 and short.steps_per_epoch(1_000) == 4
    fit = clustering.fit(jax.random.key(0), data, short, log=silent)
    (count,) = {
        int(leaf) for leaf in jax.tree.leaves(fit.state.policies.opt_state[0].count)
    }
    assert count == 4 * (2 + 3 + 40)
    assert clustering.rand_index(label, fit.assignment) == 1.0


def test_e_steps_look_at_the_averaged_policies():
    data, _ = trajectories.two_policies(6, 8)  # few steps leave the posterior unsure
    settings = dataclasses.replace(SMALL, averaging_rate=0.25)
    clusterer = jitted(settings, 6)
    state = clusterer.even(clusterer.init(jax.random.key(1)))
    expected = jax.tree.map(np.asarray, state.target_policies)
    for _ in range(3):
        state, _ = clusterer.m_step(state, data)
        expected = jax.tree.map(
            lambda old, new: 0.75 * old + 0.25 * np.asarray(new),
            *(expected, state.policies.params),
        )
    chex.assert_trees_all_close(state.target_policies, expected, rtol=1e-5)
    fresh = clusterer.responsibilities(state.target_policies, data)
    found = clusterer.e_step(state, data).posterior
    np.testing.assert_allclose(found, 0.9 * 0.5 + 0.1 * fresh, rtol=1e-5)
    others = clusterer.responsibilities(state.policies.params, data)
    assert np.abs(fresh - others).max() > 1e-3


def test_a_state_may_be_made_without_jit_and_donated():
    data, _ = trajectories.two_policies(4, 20)
    clusterer = clustering.make(SMALL, 3, 2, 4, len(data.episode))
    state = clusterer.init(jax.random.key(0))
    epoch = fitting.make_epoch(clusterer, SMALL)
    _, metrics = epoch(state, jax.random.key(1), data, classify=True)
    assert np.isfinite(metrics["policies/nll"])


def test_clusters_do_not_depend_on_the_classifier(fitted):
    data, _, fit, _ = fitted
    alone = clustering.fit(jax.random.key(0), data, SMALL, classify=False, log=silent)
    chex.assert_trees_all_equal(alone.state.policies, fit.state.policies)
    np.testing.assert_array_equal(alone.posterior, fit.posterior)


def test_without_averaging_they_are_the_trained_ones(fitted):
    state = fitted[2].state
    chex.assert_trees_all_equal(state.target_policies, state.policies.params)


def test_momentum_recursion_by_hand(small):
    data, _ = trajectories.two_policies(6, 20)
    state = small.init(jax.random.key(1))
    params = state.policies.params
    raw = np.asarray(small.responsibilities(params, data), np.float64)
    expected = np.full((6, 2), 0.5)
    for _ in range(2):  # errata 8: the posterior of the parameters before the epoch
        expected = 0.9 * expected + 0.1 * raw
        state = small.e_step(state, data)
    np.testing.assert_allclose(state.posterior, expected, rtol=1e-5)
    plain = jitted(dataclasses.replace(SMALL, momentum=0.0), 6)
    np.testing.assert_allclose(plain.e_step(state, data).posterior, raw, rtol=1e-5)


def numpy_posterior(clusterer, params, data, weight=1.0):
    """Sums of log-densities trajectory by trajectory in float64, times the weight."""
    policy = clusterer.policy(params, data.observation)
    mean, log_std, action, episode = (
        np.asarray(x, np.float64)
        for x in (policy.mean, policy.log_std, data.action, data.episode)
    )
    z = (action[None] - mean) / np.exp(log_std)
    density = -(0.5 * z**2 + log_std + 0.5 * np.log(2 * np.pi)).sum(-1)
    sums = np.array(
        [density[:, episode == j].sum(1) for j in range(int(episode[-1]) + 1)]
    )
    sums *= np.reshape(weight, (-1, 1))
    sums -= sums.max(1, keepdims=True)
    return np.exp(sums) / np.exp(sums).sum(1, keepdims=True), density


def test_e_step_equals_plain_sums(small):
    data, _ = trajectories.two_policies(6, 20, seed=3)
    params = small.init(jax.random.key(2)).policies.params
    expected, _ = numpy_posterior(small, params, data)
    found = small.responsibilities(params, data)
    np.testing.assert_allclose(found, expected, rtol=2e-4, atol=1e-6)


@pytest.mark.parametrize("chunk", [7, 64, 1000])
def test_chunks_do_not_change_the_sums(chunk):
    data, _ = trajectories.two_policies(4, 30)

    def density(observation, action):
        return jnp.stack([observation.sum(1), action.sum(1)])

    sums = jax.jit(lambda data: likelihood.log_likelihoods(density, data, 4, 2, chunk))(
        data
    )
    data = jax.tree.map(np.asarray, data)
    for j in range(4):
        mine = data.episode == j
        by_hand = [data.observation[mine].sum(), data.action[mine].sum()]
        np.testing.assert_allclose(sums[j], by_hand, rtol=1e-4, atol=1e-4)


def test_an_e_step_may_look_at_a_window_that_moves():
    data, label = trajectories.two_policies(6, 21)
    settings = dataclasses.replace(SMALL, posterior_window=5, window_stop=10)
    clusterer = jitted(settings, 6, len(data.episode))
    state = clusterer.init(jax.random.key(1))
    params = state.policies.params
    lengths = np.bincount(data.episode)
    begin = np.cumsum(lengths) - lengths
    expected = np.full((6, 2), 0.5)
    for turn in range(3):
        place = turn * 0.6180339887 % 1
        first = begin + np.floor(place * (lengths - 4)).astype(int)
        row = (first[:, None] + np.arange(5)).ravel()
        part = clustering.Trajectories(*(leaf[row] for leaf in data))
        fresh, _ = numpy_posterior(clusterer, params, part, lengths / 5)
        expected = 0.9 * expected + 0.1 * fresh
        state = clusterer.e_step(state, data)
        np.testing.assert_allclose(state.posterior, expected, rtol=1e-4)
    whole, _ = numpy_posterior(clusterer, params, data)
    found = clusterer.responsibilities(params, data)
    np.testing.assert_allclose(found, whole, rtol=2e-4, atol=1e-6)
    fit = clustering.fit(jax.random.key(0), data, settings, log=silent)
    assert clustering.rand_index(label, fit.assignment) == 1.0


def test_e_steps_spread_before_and_after_those_in_a_row():
    data, _ = trajectories.two_policies(6, 20)
    settings = dataclasses.replace(
        SMALL, posterior_window=5, window_start=1, window_stop=2
    )
    clusterer = jitted(settings, 6)
    state = clusterer.even(clusterer.init(jax.random.key(1)))
    for turn in (0, 1, 2):
        begin = dataclasses.replace(state, num_e_steps=np.int32(turn))
        steps = likelihood.some_steps(data.episode, 6, 5, turn, spread=turn != 1)
        row, weight = (np.asarray(leaf).reshape(6, 5) for leaf in steps)
        part = clustering.Trajectories(*(leaf[row.ravel()] for leaf in data))
        fresh, _ = numpy_posterior(clusterer, state.target_policies, part, weight[:, 0])
        found = clusterer.e_step(begin, data).posterior
        np.testing.assert_allclose(found, 0.9 * 0.5 + 0.1 * fresh, rtol=1e-4)


def test_the_classifier_s_rate_may_fall_to_zero():
    data, _ = trajectories.two_policies(4, 20)
    settings = dataclasses.replace(SMALL, cosine_decay=True, em_epochs=2, epoch_steps=3)
    clusterer = jitted(settings, 4, len(data.episode))
    state = clusterer.init(jax.random.key(0))
    moved = []

    @jax.jit
    def both_steps(state):
        return clusterer.m_step(clusterer.classify_step(state, data)[0], data)[0]

    for _ in range(7):
        old, state = state, both_steps(state)
        pairs = [(old.classifier, state.classifier), (old.policies, state.policies)]
        moved.append([_moved(one.params, other.params) for one, other in pairs])
    of_classifier, of_policies = np.array(moved).T
    assert of_classifier[0] > of_classifier[4] > of_classifier[6] == 0.0
    assert of_policies.min() > 0.5 * of_policies.max()  # their rate stays


def _moved(one, other):
    """The largest change of a parameter."""
    changes = jax.tree.map(lambda x, y: np.max(np.abs(np.subtract(x, y))), one, other)
    return max(map(float, jax.tree.leaves(changes)))


def test_long_trajectories_have_finite_posteriors():
    data, label = trajectories.two_policies(4, 1000)
    clusterer = jitted(SMALL, 4)
    params = clusterer.init(jax.random.key(0)).policies.params
    # Densities of e^-100000.
    far = jax.tree.map(lambda leaf: 30.0 * np.asarray(leaf), params)
    posterior = np.asarray(clusterer.responsibilities(far, data))
    assert np.isfinite(posterior).all() and len(label) == 4
    np.testing.assert_allclose(posterior.sum(1), 1.0)


# Of six trajectories.
WEIGHT = np.float32([[1, 0], [0.25, 0.75], [0.5, 0.5], [0, 1], [0.2, 0.8], [1, 0]])


def test_m_step_is_weighted_cloning(small):
    data, _ = trajectories.two_policies(6, 20)
    state = small.init(jax.random.key(0))
    state = dataclasses.replace(state, posterior=WEIGHT)
    _, density = numpy_posterior(small, state.policies.params, data)
    each = WEIGHT[np.asarray(data.episode)]
    new, metrics = small.m_step(state, data)
    expected = -(each * density.T).sum(1).mean()
    np.testing.assert_allclose(metrics["policies/nll"], expected, rtol=1e-4)
    assert small.m_step(new, data)[1]["policies/nll"] < expected
    jax.tree.map(np.testing.assert_array_equal, new.classifier, state.classifier)


def test_classifier_loss_is_the_divergence(small):
    data, _ = trajectories.two_policies(6, 20)
    state = dataclasses.replace(small.init(jax.random.key(0)), posterior=WEIGHT)
    log_q = np.asarray(
        small.classify(state.classifier.params, data.observation), np.float64
    )
    each = WEIGHT.astype(np.float64)[np.asarray(data.episode)]
    log_p = np.log(np.where(each > 0, each, 1.0))
    _, metrics = small.classify_step(state, data)
    expected = (each * (log_p - log_q)).sum(1).mean()
    np.testing.assert_allclose(metrics["classifier/kl"], expected, rtol=1e-4)


def test_members_differ_and_labels_may_be_permuted(small):
    data, _ = trajectories.two_policies(6, 20)
    params = small.init(jax.random.key(0)).policies.params
    swapped = jax.tree.map(lambda leaf: np.asarray(leaf)[::-1], params)
    one, other = (small.responsibilities(p, data) for p in (params, swapped))
    assert not np.allclose(one[:, 0], 0.5)
    np.testing.assert_allclose(one, other[:, ::-1], rtol=1e-4, atol=1e-6)


def test_one_cluster_is_cloning():
    data, _ = trajectories.two_policies(12, 40)
    settings = dataclasses.replace(SMALL, num_clusters=1)
    nll = []
    fit = clustering.fit(
        jax.random.key(0),
        data,
        settings,
        on_epoch=lambda epoch: nll.append(epoch.metrics["policies/nll"]),
        log=silent,
    )
    np.testing.assert_array_equal(fit.posterior, np.ones((12, 1)))
    # What one Gaussian can say at best: all actions are +-0.5 with deviation 0.2.
    best = 2 * 0.5 * np.log(2 * np.pi * np.e * (0.5**2 + 0.2**2))
    assert nll[-1] < nll[0] and abs(nll[-1] - best) < 0.2


def test_three_policies_are_told_apart():
    data, label = trajectories.two_policies(24, 40)
    third = np.asarray(data.episode) % 3 == 2  # these only tremble
    tremble = 0.2 * np.random.default_rng(1).normal(size=data.action.shape)
    action = np.where(third[:, None], tremble, np.asarray(data.action))
    truth = np.where(np.arange(24) % 3 == 2, 2, label)
    data = data._replace(action=jnp.asarray(action, jnp.float32))
    settings = dataclasses.replace(SMALL, num_clusters=3, em_epochs=20)
    fit = clustering.fit(jax.random.key(0), data, settings, log=silent)
    assert clustering.rand_index(truth, fit.assignment) == 1.0
