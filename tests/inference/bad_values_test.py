"""One bad number never decides: NaN, infinities, narrow types, the edge of the box."""

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest

import gem_jax.inference

inference = programs.whole(gem_jax.inference)

NAN, INF = np.nan, np.inf
Q = np.array([[1.0, 9.0, 2.0, 3.0, 5.0], [2.0, 7.0, 2.0, 4.0, 1.0]])
LOG_PROB = np.array([-1.0, -0.5, -4.0, -2.0, -8.0])
ACTIONS = jnp.arange(5.0)[:, None]
FAILURES = {
    "value NaN": ("q", NAN),
    "value inf": ("q", INF),
    "value -inf": ("q", -INF),
    "density NaN": ("log_prob", NAN),
    "density inf": ("log_prob", INF),
    "density 0": ("log_prob", -INF),
}


def broken(failure, place):
    """Q and log-densities with one number replaced."""
    q, log_prob = Q.copy(), LOG_PROB.copy()
    field, number = FAILURES[failure]
    if field == "q":
        q[1, place] = number
    else:
        log_prob[place] = number
    return jnp.array(q, "float32"), jnp.array(log_prob, "float32")


def reference(q, log_prob, kappa, lam, normalization, value_scale):
    """Eq. 2-4 in float64."""

    def z(x):
        return (x - x.mean()) / max(x.std(), 1e-6)

    lcb = q.mean(0) - kappa * q.std(0)
    support = z(log_prob) if normalization == "zscore" else log_prob
    return (z(lcb) if value_scale == "zscore" else lcb) + lam * support


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("normalization", ["zscore", "raw"])
@pytest.mark.parametrize("value_scale", ["reward", "zscore"])
def test_the_others_are_scored_as_if_it_were_not_there(
    failure, normalization, value_scale
):
    options = dict(normalization=normalization, value_scale=value_scale)
    for place in range(5):
        scores = inference.score(*broken(failure, place), kappa=1.0, lam=0.7, **options)
        rest = np.delete(np.arange(5), place)
        expected = reference(Q[:, rest], LOG_PROB[rest], 1.0, 0.7, **options)
        np.testing.assert_allclose(scores.total[rest], expected, rtol=1e-5)
        assert scores.total[place] == -INF
        selection = inference.select(ACTIONS, scores.total, top_m=5)
        assert selection.best_index == rest[np.argmax(expected)]
        np.testing.assert_allclose(selection.action, [rest.mean()], rtol=1e-6)
        np.testing.assert_allclose(selection.bad_share, 0.2)
        assert not selection.all_bad


@pytest.mark.parametrize("lam", [0.0, 0.1])
@pytest.mark.parametrize("kappa", [0.0, 1.0])
def test_no_density_is_last_whatever_the_knobs(kappa, lam):
    q, log_prob = broken("density 0", 1)  # the best by value
    scores = inference.score(q, log_prob, kappa=kappa, lam=lam)
    assert scores.total[1] == -INF and np.isnan(scores.support[1])
    assert np.isfinite(np.delete(scores.total, 1)).all()
    assert np.isfinite(scores.lcb).all()


def test_what_failed_can_be_seen():
    q, log_prob = jnp.array(Q).at[0, 2].set(NAN), jnp.array(LOG_PROB).at[3].set(NAN)
    scores = inference.score(q, log_prob, kappa=1.0, lam=0.1)
    np.testing.assert_array_equal(np.isnan(scores.lcb), [0, 0, 1, 0, 0])
    np.testing.assert_array_equal(np.isnan(scores.support), [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(np.isfinite(scores.total), [1, 1, 0, 0, 1])
    raw = inference.score(q, log_prob, kappa=1.0, lam=0.1, normalization="raw")
    np.testing.assert_array_equal(raw.support, log_prob)


@pytest.mark.parametrize("usable", [[], [1]])
def test_support_is_not_measured_by_nothing(usable):
    """Neither by no candidate nor by a single one, whose spread is 0."""
    q = jnp.full((2, 4), NAN).at[:, np.array(usable, int)].set(1.0)
    log_prob = jnp.array([-1.0, -2.0, -3.0, -5.0])
    scores = inference.score(q, log_prob, kappa=1.0, lam=0.1)
    expected = np.full(4, NAN)
    expected[usable] = 0.0
    np.testing.assert_array_equal(scores.support, expected)


def test_finite_but_absurd_numbers_do_not_flatten_the_others():
    q = jnp.array(Q, "float32")
    rare = jnp.array(LOG_PROB, "float32").at[1].set(-1e30)  # squares overflow
    support = inference.score(q, rare, kappa=0.0, lam=1.0).support
    np.testing.assert_allclose(support, [0.5, -2.0, 0.5, 0.5, 0.5], rtol=1e-5)
    total = inference.score(q.at[0, 1].set(1e30), rare, kappa=0.0, lam=1.0).total
    assert total[1] == -INF and np.isfinite(np.delete(total, 1)).all()
    lost = inference.score(q, rare, kappa=0.0, lam=jnp.array(np.inf)).total
    assert (lost == -INF).all()


@pytest.mark.parametrize("bad", [NAN, -INF, INF])
def test_a_set_of_nothing_but_bad_ones_answers_the_first_and_says_so(bad):
    total = jnp.array([[bad, NAN, bad], [0.0, bad, 1.0]])
    candidates = jnp.array([[[0.1], [0.2], [0.3]], [[0.4], [0.5], [0.6]]])
    for top_m, second in ((1, 0.6), (3, 0.5)):
        selection = inference.select(candidates, total, top_m=top_m)
        np.testing.assert_array_equal(selection.best_index, [0, 2])
        np.testing.assert_allclose(selection.action, [[0.1], [second]])
        np.testing.assert_array_equal(selection.all_bad, [True, False])
        np.testing.assert_allclose(selection.bad_share, [1.0, 1 / 3])
    log_prob = jnp.full((2, 3), NAN).at[1].set(0.0)
    scores = inference.score(jnp.ones((4, 2, 3)), log_prob, kappa=1.0, lam=1.0)
    np.testing.assert_array_equal(scores.total, [[-INF] * 3, [1.0] * 3])


def test_an_action_that_is_not_finite_is_not_chosen():
    candidates = jnp.array([[0.1, 0.2], [NAN, 0.0], [0.3, INF], [0.5, 0.6]])
    selection = inference.select(candidates, jnp.array([1.0, 9.0, 8.0, 2.0]), top_m=4)
    assert selection.best_index == 3
    np.testing.assert_allclose(selection.action, [0.3, 0.4])
    assert selection.bad_share == 0.5


def test_audits_tell_of_bad_sets_and_stay_finite():
    log_prob = jnp.array([[-INF, NAN], [-1.0, NAN], [-1.0, -2.0]])
    scores = inference.score(jnp.ones((2, 3, 2)), log_prob, kappa=1.0, lam=1.0)
    audit = inference.audit(
        inference.select(jnp.zeros((3, 2, 1)), scores.total),
        scores.support,
        jnp.ones((3, 4, 1)),
        violation_threshold=-2.0,
    )
    np.testing.assert_array_equal(audit["bad_set"], [1.0, 0.0, 0.0])
    np.testing.assert_array_equal(audit["bad_candidates"], [1.0, 0.5, 0.0])
    np.testing.assert_allclose(audit["support_z"], [0.0, 0.0, 1.0], atol=1e-6)
    np.testing.assert_array_equal(audit["violation_rate"], [0.0, 0.0, 0.0])


@pytest.mark.parametrize("bad", [NAN, INF, -INF])
def test_a_choice_without_finite_support_is_not_judged(bad):
    selection = inference.select(jnp.zeros((1, 1)), jnp.zeros(1))
    audit = inference.audit(
        selection, jnp.array([bad]), jnp.ones((1, 1)), violation_threshold=-2.0
    )
    assert (audit["support_z"], audit["violation_rate"]) == (0.0, 0.0)


def test_gradients_are_finite_beside_failures_and_nothing_recompiles():
    traces = []

    @jax.jit
    @jax.value_and_grad
    def chosen(inputs):
        traces.append(None)
        q, log_prob, actions, lam = inputs
        for options in ({}, {"value_scale": "zscore"}, {"normalization": "raw"}):
            total = inference.score(q, log_prob, kappa=1.0, lam=lam, **options).total
            value = jnp.sum(jnp.where(jnp.isfinite(total), total**2, 0.0))
            actions = actions + value
        return jnp.sum(inference.select(actions, total, top_m=3).action)

    sets = [broken(failure, 2) for failure in FAILURES]
    sets.append((jnp.full((2, 5), NAN, "float32"), jnp.full(5, -INF, "float32")))
    for q, log_prob in sets:
        value, grads = chosen((q, log_prob, ACTIONS, 0.5))
        assert np.isfinite(value)
        for grad in jax.tree.leaves(grads):
            assert np.isfinite(grad).all()
    assert len(traces) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32"])
def test_scores_are_float32_at_least(dtype):
    q = jnp.array([[0, 1, 2, 3], [600, 601, 602, 603]], dtype)  # std 300
    equal, spread = jnp.full(4, -7, dtype), jnp.arange(4).astype(dtype)
    flat = inference.score(q, equal, kappa=1.0, lam=1.0)
    wide = np.asarray(q, np.float64)
    assert {x.dtype for x in flat} == {jnp.dtype("float32")}
    np.testing.assert_allclose(flat.total, wide.mean(0) - wide.std(0), atol=1e-3)
    got = inference.score(q, spread, kappa=1.0, lam=1.0).total
    expected = reference(wide, np.arange(4.0), 1.0, 1.0, "zscore", "reward")
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_a_spread_below_a_narrow_types_floor_still_counts():
    log_prob = jnp.array([0.0, 1e-4, 2e-4, 3e-4], "float16")
    q = jnp.array([[1, 9, 2, 3]] * 4, "float16")
    total = inference.score(q, log_prob, kappa=1.0, lam=1.0).total
    z = np.array([-1.5, -0.5, 0.5, 1.5]) / np.sqrt(1.25)
    np.testing.assert_allclose(total, np.array([1, 9, 2, 3]) + z, rtol=1e-3)


def test_an_anchor_alone_is_clipped_in_float32_too(key):
    anchor = jnp.array([1.0, -1.0], "bfloat16")  # whose neighbour of 1 is 0.996
    source = inference.Mixture(jnp.zeros(1), jnp.zeros((1, 2)), jnp.zeros((1, 2)))
    candidates = inference.propose(key, source, 0, anchor=anchor)
    np.testing.assert_allclose(candidates, [[0.999999, -0.999999]], rtol=1e-7)


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_squashed_densities_are_finite_on_every_candidate(key, dtype):
    """A tanh-Gaussian has no log-density at +-1, where half the samples would lie."""
    mean, std = jnp.array([0.9, -0.8], dtype), jnp.array([2.0, 2.0], dtype)
    source = inference.Mixture(jnp.zeros(1, dtype), mean[None], jnp.log(std)[None])
    candidates = inference.propose(key, source, 200, anchor=jnp.array([1.0, -1.0]))
    assert candidates.dtype == jnp.float32
    assert np.abs(candidates).max() < 1.0
    assert np.abs(candidates).max() > 0.99999
    before_tanh = jnp.arctanh(candidates)
    jacobian = jnp.log(1.0 - candidates**2)
    log_prob = jnp.sum(-0.5 * before_tanh**2 - jacobian, axis=-1)
    assert np.isfinite(log_prob).all()
    q = -jnp.sum((candidates - 0.3) ** 2, axis=-1)[None]
    total = np.asarray(inference.score(q, log_prob, kappa=1.0, lam=0.5).total)
    assert np.isfinite(total).all()
    z = (log_prob - log_prob.mean()) / log_prob.std()
    assert np.argmax(total) == np.argmax(q[0] + 0.5 * z) != 0
