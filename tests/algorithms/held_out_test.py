"""Held-out trajectories of the behavior, by hand; what the weights come to."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors
from gem_jax.algorithms import gem
from gem_jax.algorithms.gem.state import make_behavior
from gem_jax.learners import batch_metrics, moments
from gem_jax.learners import held_out as judged
from gem_jax.ops import mixture, value
from gem_jax.testing import fakes, recording
from gem_jax.training import loop

SMALL = dict(
    num_steps=4,
    batch_size=8,
    hidden_sizes=(8,),
    behavior_steps=40,
    behavior_batch_size=16,
    num_components=2,
    behavior_components=2,
    behavior_held_out=2,
)


def make(spec=fakes.SPEC, **changes):
    return algorithms.make("gem", gem.Config(**SMALL | changes), spec)


@pytest.fixture(scope="module")
def fresh():
    """Before training, of all algorithms here that keep no best parameters."""
    return jax.jit(make().init)(jax.random.key(0))


def marked(dataset, algorithm):
    """The dataset as updates of the first phase see it."""
    prepare = jax.jit(algorithm.phases[0].prepare)
    _, extras = prepare(None, jax.random.key(0), dataset)
    return dataset._replace(extras={**dataset.extras, **extras})


@pytest.fixture
def dataset():
    """64 rows of 4 trajectories; by the golden ratio .62, .24, .85, .47: 1 and 3."""
    return fakes.random_transitions(jax.random.key(7))


def is_held_out(episode, num_episodes, every):
    return jax.jit(lambda rows: judged.is_held_out(rows, num_episodes, every))(episode)


def test_one_trajectory_in_so_many_is_held_out_of_any_succession():
    episode = jnp.arange(20_000)
    held_out = np.asarray(is_held_out(episode, 20_000, 20))
    golden = (1 + 5**0.5) / 2 % 1
    expected = np.arange(1, 20_001) * golden % 1 < 0.05
    assert np.mean(held_out != expected) < 1e-3  # golden is rounded
    assert held_out.sum() == 1_000
    for period in (2, 3, 20):
        for start in range(period):
            np.testing.assert_allclose(held_out[start::period].mean(), 0.05, atol=0.005)


def test_the_share_is_right_for_any_number_of_trajectories():
    for count in range(20, 500):
        lowest = judged._lowest(count, 20)
        assert len(set(lowest)) == count // 20
        assert 0 not in lowest  # often unlike the others


@pytest.mark.parametrize(
    ("lengths", "expected"),
    [
        ([5, 5, 5, 5], [0, 1, 0, 1]),  # the first to hold out is 1, then 3
        ([1, 8, 1, 10], [0, 1, 0, 0]),
        ([0, 2, 0, 18], [0, 1, 0, 0]),
        ([1, 17, 1, 1], [0, 0, 0, 0]),
    ],
)
def test_no_more_than_twice_the_share_of_rows_is_held_out(
    monkeypatch, lengths, expected
):
    monkeypatch.setattr(judged, "_MOST", 1)  # a half, of so few
    episode = np.repeat(np.arange(4), lengths)
    held_out = is_held_out(jnp.asarray(episode), 4, 2)
    np.testing.assert_array_equal(held_out, np.array(expected)[episode])


def long_first(dataset):
    """One row of each of the other trajectories; 61 of 64 are of the first to go."""
    episode = jnp.full(64, 1).at[jnp.array([0, 1, 2])].set(jnp.array([0, 2, 3]))
    return dataset._replace(extras={"episode": episode})


def test_all_is_learned_from_where_the_first_is_too_long(dataset, fresh):
    algorithm = make(behavior_held_out=4)
    batch = marked(long_first(dataset), algorithm)
    np.testing.assert_array_equal(batch.extras["held_out"], np.zeros(64))
    _, metrics = jax.jit(algorithm.phases[0].update)(fresh, jax.random.key(0), batch, 0)
    expected = nll_of(fresh.behavior.params, batch, ...)
    np.testing.assert_allclose(metrics["behavior/nll"], expected)
    assert metrics["behavior/held_out_nll"] == metrics["behavior/nll"]


def test_marks_turn_a_mean_into_that_of_held_out_rows(dataset):
    mark = marked(dataset, make()).extras["held_out"]
    np.testing.assert_allclose(mark, np.repeat([0.0, 2.0, 0.0, 2.0], 16))
    dataset = dataset._replace(extras={"episode": dataset.extras["episode"] // 3})
    mark = marked(dataset, make(fakes.SPEC._replace(num_episodes=2))).extras["held_out"]
    np.testing.assert_allclose(mark, np.repeat([0.0, 0.0, 0.0, 4.0], 16))


@pytest.mark.parametrize("every", [0, 5])
def test_too_few_trajectories_hold_out_none(dataset, fresh, every):
    algorithm = make(behavior_held_out=every)
    batch = marked(dataset, algorithm)
    assert "held_out" not in batch.extras
    update = algorithm.phases[0].update
    _, metrics = jax.eval_shape(update, fresh, jax.random.key(0), batch, 0)
    assert "behavior/nll" in metrics and "behavior/held_out_nll" not in metrics


def test_held_out_rows_are_judged_and_not_learned_from(dataset, fresh):
    algorithm, state = make(), fresh
    batch = marked(dataset, algorithm)
    held_out = np.asarray(batch.extras["held_out"]) > 0
    update = jax.jit(algorithm.phases[0].update)
    after, metrics = update(state, jax.random.key(0), batch, 0)
    changed = batch._replace(
        action=jnp.where(held_out[:, None], 0.5, batch.action),
    )
    other, other_metrics = update(state, jax.random.key(0), changed, 0)
    jax.tree.map(np.testing.assert_array_equal, after.behavior, other.behavior)
    assert metrics["behavior/nll"] == other_metrics["behavior/nll"]
    name = "behavior/held_out_nll"
    assert abs(metrics[name] - other_metrics[name]) > 1e-3
    params = state.behavior.params
    means = [nll_of(params, dataset, rows) for rows in (held_out, ~held_out)]
    np.testing.assert_allclose(metrics[name], means[0], rtol=1e-5)
    np.testing.assert_allclose(metrics["behavior/nll"], means[1], rtol=1e-5)


def log_prob_of(params, dataset, rows):
    """The behavior's log-density of some rows."""
    return np.asarray(log_prob(params, dataset.observation, dataset.action))[rows]


@jax.jit
def log_prob(params, observation, action):
    network = make_behavior(gem.Config(**SMALL), fakes.SPEC)
    return mixture.log_prob(network.apply(params, observation), action)


def nll_of(params, dataset, rows):
    """The behavior's NLL `[]` of some rows."""
    return -np.mean(log_prob_of(params, dataset, rows))


def test_held_out_nll_is_unbiased_over_batches():
    """Of 200 rows 1 in 10 is held out, so many batches of 8 have none of them."""
    nll = np.random.default_rng(0).normal(3.0, 1.0, 200)
    mark = np.where(np.arange(200) % 10 == 0, 10.0, 0.0)
    nll = jnp.asarray(nll + 2.0 * (mark > 0), jnp.float32)
    index = np.random.default_rng(1).integers(0, 200, (20_000, 8))

    @jax.jit
    @jax.vmap
    def of(rows):
        batch = fakes.random_transitions(jax.random.key(0), 8)
        batch = batch._replace(extras={"held_out": jnp.asarray(mark)[rows]})
        return judged.nll_means(nll[rows], batch)["behavior/held_out_nll"]

    found = np.mean(of(jnp.asarray(index)))
    np.testing.assert_allclose(found, np.mean(nll[mark > 0]), atol=0.05)


BEST = dict(behavior_learning_rate=0.05, behavior_keep_best=True)


@pytest.fixture(scope="module")
def whole():
    """Every step of two seeds; the best parameters of each are compared 20 times."""
    return train(loop.init(make(**BEST), loop.seed_keys([0, 1])), 0)


def train(state, start_step, end_step=None):
    dataset = fakes.random_transitions(jax.random.key(7))
    place = dict(start_step=start_step, steps_per_dispatch=1)
    keys = loop.seed_keys([0, 1])
    return recording.keep(
        loop.run(make(**BEST), keys, dataset, state, **place), end_step
    )


def test_the_best_parameters_go_on(dataset, whole):
    """Data without structure are learned by heart, so the best are not the last."""
    states = [loop.select_seed(chunk.state, 0) for chunk in whole]
    held_out = np.repeat([False, True, False, True], 16)
    normalized, _ = loop.normalized(dataset)
    states = [state.algorithm for state in states]
    compared = {
        step: nll_of(states[step - 1].behavior.params, normalized, held_out)
        for step in range(2, 41, 2)
    }
    best = min(compared, key=compared.get)
    assert best < 40
    jax.tree.map(
        np.testing.assert_array_equal,
        states[-1].behavior.params,
        states[best - 1].behavior.params,
    )
    rows = log_prob_of(states[-1].behavior.params, normalized, held_out)
    mean, std = moments.mean_and_std(states[-1].scales.support)
    np.testing.assert_allclose([mean, std], [rows.mean(), rows.std()], rtol=1e-4)
    assert jax.eval_shape(make().init, jax.random.key(0)).best_behavior is None


def test_keeping_the_best_refuses_data_without_a_part_to_judge_on(dataset):
    make(**BEST).check(dataset, print)
    with pytest.raises(errors.UserError, match="needs 5 trajectories, the data have 4"):
        make(**BEST, behavior_held_out=5).check(dataset, print)
    with pytest.raises(errors.UserError, match=r'needs dataset.extras\["episode"\]'):
        make(**BEST).check(dataset._replace(extras={}), print)
    moved = dataset._replace(extras={"episode": dataset.extras["episode"] + 7})
    with pytest.raises(errors.UserError, match="from 0 to 3; there are 7 to 10"):
        make(**BEST).check(moved, print)
    with pytest.raises(errors.UserError, match="more than 2 rows in 4; leave it off"):
        make(**BEST, behavior_held_out=4).check(long_first(dataset), print)


@pytest.mark.parametrize(
    ("steps", "compared"),
    [(40, 20), (100_000, 20), (10_007, 20), (100_003, 20), (21, 11), (7, 7), (1, 1)],
)
def test_parameters_are_compared_evenly_whatever_the_number_of_steps(steps, compared):
    phase = make(**BEST, behavior_steps=steps).phases[0]
    # The untrained ones beside, and the last on entering the next phase.
    assert len(range(0, steps, phase.refresh_every)) == compared
    assert phase.refresh_every == -(-steps // 20)


@pytest.mark.parametrize(("step", "end"), [(21, 40), (42, 44)])
def test_a_run_that_resumes_keeps_the_same_best(whole, step, end):
    """Between two comparisons of the first phase, and inside the second."""
    state = jax.tree.map(jnp.asarray, whole[step - 1].state)
    last = train(state, step, end)[-1]
    assert (whole[step - 1].step, last.step) == (step, end)
    jax.tree.map(np.testing.assert_array_equal, last.state, whole[end - 1].state)


def test_keeping_the_best_asks_for_a_frozen_behavior():
    for changes in ({"behavior_freeze": False}, {"behavior_held_out": 0}):
        with pytest.raises(ValueError, match="behavior_keep_best needs"):
            make(behavior_keep_best=True, **changes)
    with pytest.raises(ValueError, match="behavior_held_out must be 0 or >= 2"):
        make(behavior_held_out=1)


@pytest.mark.parametrize(
    ("advantage", "effective", "capped"),
    [
        ([0.0, 0.0, 0.0, 0.0], 1.0, 0.0),
        ([0.0, 0.0, -99.0, -99.0], 0.5, 0.0),
        # Weights 100, 100, 1, 2: 203^2 / (4 * 20,005).
        ([9.0, np.log(100.0) / 2 + 1e-3, 0.0, np.log(2.0) / 2], 0.514984, 0.5),
        ([-99.0, -99.0, -99.0, -99.0], 0.0, 0.0),  # no weight is left in float32
    ],
)
def test_what_weights_come_to(advantage, effective, capped):
    advantage = jnp.array(advantage, jnp.float32)
    weight = value.advantage_weight(advantage, 2.0, 100.0)
    at_cap = value.is_capped(advantage, 2.0, 100.0)
    metrics = batch_metrics.regression_means({"value/v": advantage}, weight, at_cap)
    assert set(metrics) == {
        "value/v",
        "actor/weight",
        "actor/effective_share",
        "actor/capped_share",
    }
    np.testing.assert_allclose(metrics["actor/effective_share"], effective, rtol=1e-5)
    assert metrics["actor/capped_share"] == capped
    np.testing.assert_allclose(metrics["actor/weight"], np.mean(weight), rtol=1e-6)
