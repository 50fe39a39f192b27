"""Propose, score and select: the identities of the paper, by hand and as properties."""

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import programs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import gem_jax.inference
from gem_jax.ops import mixture

inference = programs.whole(gem_jax.inference)

Q = jnp.array([[1.0, 4.0, 2.0], [3.0, 0.0, 2.0]])  # means 2, 2, 2; stds 1, 2, 0
LOG_PROB = jnp.array([-1.0, -2.0, -3.0])


def test_score_by_hand():
    out = inference.score(Q, LOG_PROB, kappa=0.5, lam=2.0)
    z = np.array([1.0, 0.0, -1.0]) / np.sqrt(2 / 3)
    np.testing.assert_allclose(out.lcb, [1.5, 1.0, 2.0], rtol=1e-6)
    np.testing.assert_allclose(out.support, z, rtol=1e-5)
    np.testing.assert_allclose(out.total, out.lcb + 2.0 * z, rtol=1e-5)


def test_raw_support_is_the_log_density():
    out = inference.score(Q, LOG_PROB, kappa=0.0, lam=1.0, normalization="raw")
    np.testing.assert_allclose(out.total, [1.0, 0.0, -1.0], rtol=1e-6)


def test_standardized_value_is_free_of_reward_units():
    small = inference.score(Q, LOG_PROB, kappa=1.0, lam=0.3, value_scale="zscore")
    large = inference.score(1e3 * Q, LOG_PROB, kappa=1.0, lam=0.3, value_scale="zscore")
    np.testing.assert_allclose(small.total, large.total, rtol=1e-4)


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**31), st.floats(-1e3, 1e3))
def test_a_shift_of_the_log_densities_changes_nothing(seed, shift):
    key = jax.random.key(seed)
    log_prob = 10 * jax.random.normal(key, (4, 6))
    q = jax.random.normal(key, (3, 4, 6))
    a = inference.score(q, log_prob, kappa=1.0, lam=1.0)
    b = inference.score(q, log_prob + shift, kappa=1.0, lam=1.0)
    np.testing.assert_allclose(a.total, b.total, atol=2e-3)


def test_permuting_candidates_permutes_scores(key):
    q, log_prob = jax.random.normal(key, (3, 5)), jax.random.normal(key, (5,))
    order = jnp.array([3, 1, 4, 0, 2])
    a = inference.score(q, log_prob, kappa=1.0, lam=1.0).total
    b = inference.score(q[:, order], log_prob[order], kappa=1.0, lam=1.0).total
    np.testing.assert_allclose(a[order], b, rtol=1e-5)


def test_lcb_does_not_rise_with_kappa(key):
    q, log_prob = jax.random.normal(key, (3, 5)), jnp.zeros(5)
    bounds = [inference.score(q, log_prob, kappa=k, lam=0.0).lcb for k in (0, 1, 4)]
    assert (bounds[0] >= bounds[1]).all() and (bounds[1] >= bounds[2]).all()


def test_zero_knobs_take_the_largest_mean_and_huge_lambda_the_most_likely(key):
    q, log_prob = jax.random.normal(key, (3, 50)), jax.random.normal(key, (50,))
    greedy = inference.score(q, log_prob, kappa=0.0, lam=0.0).total
    assert jnp.argmax(greedy) == jnp.argmax(q.mean(0))
    loyal = inference.score(q, log_prob, kappa=0.0, lam=1e6).total
    assert jnp.argmax(loyal) == jnp.argmax(log_prob)


def test_single_candidate_has_no_support():
    out = inference.score(Q[:, :1], LOG_PROB[:1], kappa=1.0, lam=5.0)
    np.testing.assert_array_equal(out.support, [0.0])


def test_knobs_broadcast_over_states_and_work_under_jit_vmap_grad(key):
    q, log_prob = jax.random.normal(key, (3, 4, 6)), jax.random.normal(key, (4, 6))
    kappa, lam = jnp.arange(4.0), jnp.arange(4.0)[::-1]

    @jax.jit
    def total(q, kappa, lam):
        return inference.score(q, log_prob, kappa=kappa, lam=lam).total

    together = total(q, kappa, lam)
    one_by_one = jax.vmap(
        lambda q, lp, k, w: inference.score(q, lp, kappa=k, lam=w).total,
        in_axes=(1, 0, 0, 0),
    )(q, log_prob, kappa, lam)
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5, atol=1e-6)
    grad = jax.grad(lambda q: total(q, kappa, lam).sum())(jnp.ones_like(q))
    assert np.isfinite(grad).all()


def test_knobs_do_not_recompile(key):
    traces = []

    @jax.jit
    def total(kappa, lam, t):
        traces.append(None)
        lam = inference.lambda_schedule(t, start=lam, end=0.1, horizon=100)
        return inference.score(Q, LOG_PROB, kappa=kappa, lam=lam).total

    for kappa, lam, t in [(0.0, 1.0, 0), (1.5, 0.0, 3), (2.0, 9.0, 70)]:
        total(kappa, lam, t)
    assert len(traces) == 1


@pytest.mark.parametrize("number", [-0.5, np.nan, np.inf])
@pytest.mark.parametrize("name", ["kappa", "lam"])
def test_negative_and_infinite_knobs_are_refused(name, number):
    knobs = {"kappa": 1.0, "lam": 1.0, name: number}
    with pytest.raises(ValueError, match=f"{name} must be at least 0"):
        inference.score(Q, LOG_PROB, **knobs)


def test_mismatched_shapes_are_named():
    with pytest.raises(ValueError, match=r"\(2, 3\)"):
        inference.score(Q, LOG_PROB[:2], kappa=1.0, lam=1.0)


def gaussian(mean, std):
    return mixture.Mixture(
        jnp.zeros(1), jnp.asarray(mean)[None], jnp.log(jnp.asarray(std))[None]
    )


def test_propose_puts_the_anchor_first_and_clips(key):
    anchor = jnp.array([0.5, -0.5])
    candidates = inference.propose(
        key, gaussian([0.0, 0.0], [3.0, 3.0]), 40, anchor=anchor
    )
    assert candidates.shape == (41, 2)
    np.testing.assert_array_equal(candidates[0], anchor)
    assert 0.99999 < np.abs(candidates).max() < 1.0


def test_propose_without_anchor_has_n_members(key):
    candidates = inference.propose(key, gaussian([0.0], [1.0]), 7, anchor=None)
    assert candidates.shape == (7, 1)
    with pytest.raises(ValueError, match="num_candidates"):
        inference.propose(key, gaussian([0.0], [1.0]), 0, anchor=None)


@pytest.mark.parametrize("size", [2, 8])
def test_matched_gaussians_reach_the_known_support(key, size):
    """The mean of a Gaussian has z = sqrt(d / 2) among its own samples."""
    source = gaussian(np.zeros(size, np.float32), np.full(size, 0.05, np.float32))
    candidates = inference.propose(key, source, 20_000, anchor=jnp.zeros(size))
    log_prob = jax.vmap(mixture.log_prob, in_axes=(None, 0))(source, candidates)
    z = inference.score(jnp.zeros((1, 20_001)), log_prob, kappa=0.0, lam=1.0).support
    np.testing.assert_allclose(z[0], np.sqrt(size / 2), rtol=0.03)


def test_select_top_one_and_means():
    candidates = jnp.array([[0.0], [1.0], [0.5], [-1.0]])
    total = jnp.array([0.1, 0.9, 0.8, -5.0])
    best = inference.select(candidates, total)
    np.testing.assert_allclose(best.action, [1.0])
    assert best.best_index == 1
    two = inference.select(candidates, total, top_m=2)
    np.testing.assert_allclose(two.action, [0.75])
    np.testing.assert_allclose(two.best_action, [1.0])  # audits look at the single best
    everything = inference.select(candidates, total, top_m=4)
    np.testing.assert_allclose(everything.action, candidates.mean(0))
    with pytest.raises(ValueError, match="top_m"):
        inference.select(candidates, total, top_m=5)


def test_sets_side_by_side_are_selected_each_by_itself(key):
    candidates = jax.random.normal(key, (2, 3, 4, 5))
    total = jax.random.normal(key, (2, 3, 4))
    found = inference.select(candidates, total, top_m=2)
    alone = inference.select(candidates[1, 2], total[1, 2], top_m=2)
    for together, one in zip(found, alone, strict=True):
        np.testing.assert_allclose(together[1, 2], one, rtol=1e-6)
    with pytest.raises(ValueError, match=r"top_m must be in 1\.\.4, got 5"):
        inference.select(candidates, total, top_m=5)


def test_audit_by_hand():
    selection = inference.select(
        jnp.array([[0.0, 0.0], [0.6, 0.8]]), jnp.array([0.0, 1.0])
    )
    audit = inference.audit(
        selection,
        jnp.array([1.0, -2.5]),
        jnp.array([[0.0, 0.0], [0.6, 0.0]]),
        violation_threshold=-2.0,
    )
    assert audit["support_z"] == -2.5
    assert audit["violation_rate"] == 1.0
    np.testing.assert_allclose(audit["collapse_dist"], 0.8, rtol=1e-6)


@pytest.mark.parametrize(
    ("schedule", "first", "last"),
    [("decay", 2.0, 0.5), ("rise", 0.0, 0.5), ("constant", 0.5, 0.5)],
)
def test_schedules_are_monotone_between_their_ends(schedule, first, last):
    knobs = inference.Knobs(lambda_schedule=schedule, lambda_start=2.0, lambda_end=0.5)
    start, end = knobs.lambda_ends
    lam = inference.lambda_schedule(jnp.arange(150), start=start, end=end, horizon=100)
    np.testing.assert_allclose([lam[0], lam[100], lam[149]], [first, last, last])
    steps = np.diff(lam[:101])
    assert (steps <= 1e-6).all() or (steps >= -1e-6).all()


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_candidates": -1}, "num_candidates"),
        ({"num_candidates": 0, "anchor": "none"}, "num_candidates"),
        ({"top_m": 66}, "top_m"),
        ({"denoise_steps": 257}, "denoise_steps"),
        ({"refine_steps": 257}, "refine_steps"),
        ({"chunk_size": 2**31}, "chunk_size"),
        ({"kappa": 1e39}, "kappa"),
        ({"kappa": -1.0}, "kappa"),
        ({"lambda_end": -0.1}, "lambda_end"),
        ({"temperature": 0.0}, "temperature"),
        ({"candidates": "both"}, "candidates"),
        ({"num_candidates": float("inf")}, "num_candidates"),
        ({"chunk_size": float("inf")}, "chunk_size"),
        ({"support_cap": float("inf")}, "support_cap"),
        ({"violation_threshold": -float("inf")}, "violation_threshold"),
    ],
)
def test_bad_knobs_are_named(changes, named):
    with pytest.raises(ValueError, match=f"^{named} must be"):
        inference.Knobs(**changes).validate()


def test_more_candidates_hurt_without_support_and_not_with_it(key):
    """Best of N under a critic with one spurious peak far from the data."""
    behavior = gaussian([0.0], [0.3])

    def mean_true_value(num_candidates, lam):
        def one(key):
            candidates = inference.propose(
                key, gaussian([0.0], [0.5]), num_candidates, anchor=jnp.zeros(1)
            )
            log_prob = jax.vmap(mixture.log_prob, in_axes=(None, 0))(
                behavior, candidates
            )
            fooled = jnp.where(jnp.abs(candidates[:, 0]) > 0.9, 1.0, 0.0)
            total = inference.score(fooled[None], log_prob, kappa=0.0, lam=lam).total
            action = inference.select(candidates, total).action
            return -(action[0] ** 2)  # the truth: stay at 0

        return float(jax.jit(jax.vmap(one))(jax.random.split(key, 300)).mean())

    assert mean_true_value(64, 0.0) < mean_true_value(1, 0.0) - 0.3
    assert mean_true_value(64, 1.0) > mean_true_value(64, 0.0) + 0.5


def test_inference_needs_jax_alone():
    program = (
        "import sys, gem_jax.inference; "
        "bad = {'flax', 'optax', 'chex', 'distrax', 'gymnasium', 'minari', 'orbax'}; "
        "found = sorted(bad & set(sys.modules)); assert not found, found"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_capped_support_keeps_away_from_the_rare_without_seeking_the_common():
    q = jnp.array([[0.0, 1.0, 2.0]])
    log_prob = jnp.array([5.0, 4.0, -9.0])  # z of about 0.8, 0.6, -1.4
    plain = inference.score(q, log_prob, kappa=0.0, lam=10.0).total
    assert jnp.argmax(plain) == 0  # the most common, though it is the worst
    capped = inference.score(q, log_prob, kappa=0.0, lam=10.0, support_cap=-0.5)
    assert jnp.argmax(capped.total) == 1  # the best of those common enough
    np.testing.assert_allclose(capped.support.max(), 0.8, atol=0.1)  # reported uncapped


def test_knobs_are_replaced_and_not_changed():
    knobs = inference.Knobs()
    with pytest.raises(dataclasses.FrozenInstanceError):
        knobs.kappa = 2.0
    assert dataclasses.replace(knobs, kappa=2.0).kappa == 2.0


def test_the_size_of_the_set_counts_the_anchor():
    assert inference.Knobs(num_candidates=7).set_size == 8
    assert inference.Knobs(num_candidates=7, anchor="none").set_size == 7
    inference.Knobs(num_candidates=0).validate()
    inference.Knobs(num_candidates=1, anchor="none").validate()
