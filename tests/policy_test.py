"""A policy's entry: what it takes, what it refuses, what it says of bad rows."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors, policy, run_settings
from gem_jax.algorithms import gem
from gem_jax.testing import fakes
from gem_jax.types import ActOutput

OBSERVATION = np.array([[0.3, -0.2, 1.0], [0.5, 2.0, -1.0]], np.float32)


@pytest.fixture(scope="module")
def acting():
    config = gem.Config(
        hidden_sizes=(8, 8), num_critics=2, num_components=2, num_candidates=5
    )
    algorithm = gem.make(config, fakes.SPEC)
    params = algorithm.actor_params(algorithm.init(jax.random.key(0)))
    return policy.bind(algorithm, fakes.policy_params(params))


def test_a_record_without_sizes_of_the_data_is_rebuilt():
    config = dataclasses.asdict(algorithms.config_class("bc")(hidden_sizes=(8,)))
    record = {
        "algo": "bc",
        "config": config,
        "spec": {"observation_size": 3, "action_size": 2, "horizon": 20},
    }
    algorithm, spec = run_settings.rebuild(record)
    assert (spec.num_transitions, spec.num_episodes) == (0, 0)
    assert algorithm.num_steps == config["num_steps"]


def test_arrays_of_every_kind_give_the_same_actions(acting, key):
    expected = acting.act(key, jnp.asarray(OBSERVATION), jnp.zeros(2))
    assert not expected.audit["bad_observation"].any()
    programs = acting.batched._cache_size()
    strided = np.zeros((2, 6), np.float32)
    strided[:, ::2] = OBSERVATION
    for observation in (
        OBSERVATION,
        OBSERVATION.astype(">f4"),
        OBSERVATION.astype(float),
        np.asfortranarray(OBSERVATION),
        strided[:, ::2],
        OBSERVATION.tolist(),
        [jnp.asarray(row) for row in OBSERVATION],
    ):
        for t in (None, [0, 0], np.zeros(2, ">i8"), np.zeros(2)):
            output = acting.act(key, observation, t)
            jax.tree.map(np.testing.assert_array_equal, output, expected)
    assert acting.batched._cache_size() <= programs + 1  # arrays of the host


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "int32", "uint8", "bool"])
def test_narrow_observations_are_computed_with_in_float32(acting, key, dtype):
    narrow = jnp.array([[1, 0, 1], [0, 1, 0]], dtype)
    wide = jnp.asarray(narrow, jnp.float32)
    expected = [acting.act(key, x).action for x in (wide, np.asarray(wide))]
    programs = acting.batched._cache_size()
    for observation in (narrow, np.asarray(narrow)):
        output = acting.act(key, observation)
        np.testing.assert_array_equal(output.action, expected[0])
    assert acting.batched._cache_size() == programs


def test_the_step_matters_and_none_is_the_first(acting, key):
    acting = acting.with_knobs(
        lambda_start=1e6, lambda_end=0.0, horizon=5, num_candidates=60
    )
    first, unsaid, last = (
        acting.act(key, OBSERVATION, t) for t in ([0, 0], None, [5] * 2)
    )
    np.testing.assert_array_equal(first.action, unsaid.action)
    assert (first.audit["support_z"] > last.audit["support_z"]).all()


def test_no_rows_are_no_actions(acting, key):
    like = acting.act(key, OBSERVATION)
    for output in (
        acting.act(key, np.zeros((0, 3)), []),
        acting.with_knobs(num_candidates=300).act(key, np.zeros((0, 3))),
    ):
        assert output.action.shape == (0, 2)
        assert output.audit.keys() == like.audit.keys()
        assert {value.shape for value in output.audit.values()} == {(0,)}


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf, 1e300])
def test_a_bad_row_is_flagged_and_leaves_the_others_alone(acting, key, bad):
    observation = OBSERVATION.astype(float)
    expected = acting.act(key, observation)
    observation[0, 1] = bad
    output = acting.act(key, observation)
    np.testing.assert_array_equal(output.audit["bad_observation"], [1.0, 0.0])
    np.testing.assert_array_equal(output.audit["bad_action"], [0.0, 0.0])
    np.testing.assert_array_equal(output.action[0], [0.0, 0.0])
    np.testing.assert_array_equal(output.action[1], expected.action[1])
    for name, values in output.audit.items():
        assert np.isfinite(values).all(), name


def test_weights_that_are_not_finite_are_flagged(acting, key):
    params = jax.tree.map(lambda leaf: leaf * np.nan, acting.params)
    output = dataclasses.replace(acting, params=params).act(key, OBSERVATION)
    np.testing.assert_array_equal(output.action, np.zeros((2, 2)))
    np.testing.assert_array_equal(output.audit["bad_action"], [1.0, 1.0])
    np.testing.assert_array_equal(output.audit["bad_observation"], [0.0, 0.0])


def test_a_bad_row_is_flagged_where_the_policy_does_not_look_at_it(key):
    def act(params, key, observation, t, knobs):
        del params, key, t, knobs
        return ActOutput(observation[:2], {})

    blind = policy.bind(fakes.acts_by(act), fakes.policy_params(()))
    output = blind.act(key, [[0.5, 0.5, np.nan], [0.5, 0.5, 0.0]])
    np.testing.assert_array_equal(output.action, [[0.0, 0.0], [0.5, 0.5]])
    np.testing.assert_array_equal(output.audit["bad_observation"], [1.0, 0.0])


def test_a_bad_step_plays_the_anchor_and_says_so(acting, key):
    output = acting.act(key, OBSERVATION, [np.nan, 0.0])
    anchor = acting.with_knobs(num_candidates=0).act(key, OBSERVATION)
    np.testing.assert_allclose(output.action[0], anchor.action[0], rtol=1e-5)
    np.testing.assert_array_equal(output.audit["bad_set"], [1.0, 0.0])


def test_it_acts_inside_a_jitted_function(acting, key):
    expected = acting.act(key, OBSERVATION, [3, 3]).action

    @jax.jit
    def inside(key, observation, t):
        return acting.act(key, list(observation), [t, t]).action

    np.testing.assert_allclose(inside(key, OBSERVATION, 3), expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("observation", "t", "message"),
    [
        (
            OBSERVATION[0],
            None,
            r"\[B, 3\], got \(3,\); one state is observation\[None\]",
        ),
        (OBSERVATION[:, :2], None, r"observation must be \[B, 3\], got \(2, 2\)$"),
        (OBSERVATION, [0.0], r"t must be \[2\], got \(1,\)"),
        (OBSERVATION, 0.0, r"t must be \[2\], got \(\)"),
        ([[1.0, 2.0, 3.0], [1.0]], None, "observation must be an array of numbers"),
        ([["a", "b", "c"]], None, "observation must be an array of real numbers"),
        ([["1", "2", "3"]], None, "array of real numbers, got <U1"),
        (OBSERVATION + 1j, None, "array of real numbers, got complex"),
        (jnp.asarray(OBSERVATION) + 1j, None, "real numbers, got complex64"),
        ([[None] * 3], None, "array of real numbers, got object"),
        (OBSERVATION, ["now", "then"], "t must be an array of real numbers"),
        (OBSERVATION, np.array(["2020", "2021"], "M8[Y]"), "t must be .* got datetime"),
        (OBSERVATION, np.array([1, 2], "m8[s]"), "t must be .* got timedelta64"),
        (OBSERVATION, jax.random.split(jax.random.key(0)), "t must be .* got key"),
    ],
)
def test_what_cannot_be_an_observation_is_refused(acting, key, observation, t, message):
    with pytest.raises(errors.UserError, match=message):
        acting.act(key, observation, t)
