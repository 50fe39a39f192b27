"""SfBC: generations of returns, acting by values, and what it refuses."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import two_modes

from gem_jax import algorithms, errors, inference
from gem_jax.algorithms import _sampled, sfbc
from gem_jax.data import tasks
from gem_jax.runs import presets
from gem_jax.testing import fakes


def tiny(**changes):
    config = algorithms.tiny_config("sfbc", **changes)
    return algorithms.make("sfbc", config, fakes.SPEC)


def test_generations_alternate_planning_and_values():
    names = [phase.name for phase in tiny(generations=3).phases]
    assert names[:2] == ["behavior", "critic_1"]
    assert names[2:] == ["planning_2", "critic_2", "planning_3", "critic_3"]
    assert len(tiny(generations=1).phases) == 2
    (passes,) = {phase.num_steps for phase in tiny().phases if "plan" in phase.name}
    assert passes == 64 // 16  # every state once


def test_the_first_generation_learns_returns_and_the_next_what_planning_promises():
    algorithm = tiny(discount=0.5)
    data = jax.device_get(fakes.random_transitions(jax.random.key(0)))
    state = jax.jit(algorithm.init)(jax.random.key(1))
    first, planning, second = algorithm.phases[1:]
    state = jax.jit(first.refresh)(state, jax.random.key(2), data, 0)
    later, expected = 0.0, np.zeros(64)
    for i in reversed(range(64)):
        ends = i % 16 == 15 or data.terminal[i] > 0
        later = data.reward[i] + 0.5 * (0.0 if ends else later)
        expected[i] = later
    np.testing.assert_allclose(state.returns, expected, rtol=1e-5, atol=1e-6)
    scale = expected.mean(), expected.std()
    np.testing.assert_allclose(state.scale, scale, rtol=1e-4)
    # With values beyond all returns, every step that is not terminal plans with them.
    state = state.replace(next_value=np.full(64, 100.0, np.float32))
    before = jax.device_get(state.critic.params)
    state = jax.jit(second.refresh)(state, jax.random.key(3), data, 0)
    promised = np.asarray(data.reward + 50.0 * (data.terminal == 0))
    assert np.all(state.returns >= promised - 1e-4)
    np.testing.assert_allclose(
        np.asarray(state.returns)[15::16], promised[15::16], rtol=1e-5
    )
    after = jax.device_get(state.critic.params)
    moved = jax.tree.map(lambda a, b: np.any(a != b), before, after)
    assert moved["params"]["kernel"]  # a fresh critic


def test_returns_go_on_where_the_next_trajectory_starts_from_the_same_state():
    data = jax.device_get(fakes.random_transitions(jax.random.key(0)))
    # A terminal ends a return, whatever follows; so do the last row and another state.
    observation = data.observation.copy()
    observation[[16, 32]] = data.next_observation[[15, 31]]
    data = data._replace(
        reward=np.ones(64, np.float32),
        terminal=np.eye(64, dtype=np.float32)[31],
        observation=observation,
    )
    algorithm = tiny(discount=0.5)
    state = jax.jit(algorithm.init)(jax.random.key(1))
    refresh = jax.jit(algorithm.phases[1].refresh)
    state = refresh(state, jax.random.key(2), data, 0)
    found = np.asarray(state.returns)
    lengths = 2.0 - 2.0 * found  # a return of m ones is 2 - 2^(1 - m)
    np.testing.assert_allclose(found[[15, 31, 47, 63]], [2.0, 1, 1, 1], atol=1e-4)
    np.testing.assert_allclose(lengths[[29, 30]], [-1.5, -1.0], atol=1e-5)


def test_one_starting_state_for_all_is_no_path_that_goes_on():
    """Cut after each step, in a world of one state: every return is its reward."""
    data = jax.device_get(fakes.random_transitions(jax.random.key(0)))
    data = data._replace(
        observation=np.zeros_like(data.observation),
        next_observation=np.zeros_like(data.observation),
        terminal=np.zeros(64, np.float32),
        extras={**data.extras, "episode": np.arange(64, dtype=np.int32)},
    )
    algorithm = tiny(discount=0.5)
    state = jax.jit(algorithm.init)(jax.random.key(1))
    state = jax.jit(algorithm.phases[1].refresh)(state, jax.random.key(2), data, 0)
    np.testing.assert_allclose(state.returns, data.reward, rtol=1e-6)


@pytest.fixture(scope="module")
def trained():
    """On two modes of which one is rewarded."""
    config = sfbc.Config(
        num_steps=400,
        batch_size=128,
        hidden_sizes=(32, 32),
        learning_rate=3e-3,
        generations=1,
        behavior_steps=1500,
        behavior_batch_size=128,
        behavior_hidden_sizes=(64, 32),
        behavior_learning_rate=3e-3,
        num_candidates=16,
        sampling_steps=10,
    )
    spec = fakes.BANDIT_SPEC._replace(num_transitions=512)
    algorithm = sfbc.make(config, spec)
    play = two_modes.train(algorithm)

    def act(**changes):
        return play(dataclasses.replace(config.knobs(), **changes))

    return act


def test_without_values_it_acts_as_the_behavior(trained):
    actions = trained(alpha=0.0)
    near = [np.abs(actions - mode) < 0.2 for mode in (-0.7, 0.7)]
    assert np.mean(near[0] | near[1]) > 0.9
    assert 0.35 < near[1].mean() < 0.65


def test_by_values_it_acts_as_the_rewarded_half_does(trained):
    actions = trained(alpha=100.0)
    assert np.mean(np.abs(actions - 0.7) < 0.4) > 0.97


def test_draws_are_averaged(trained):
    spread = [trained(alpha=0.0, num_averaged=m).std() for m in (1, 8, 16)]
    assert spread[0] > 2 * spread[1] > 2 * spread[2]


def test_what_it_cannot_learn_from_is_told():
    data = fakes.random_transitions(jax.random.key(0))
    with pytest.raises(errors.UserError, match=r'need dataset.extras\["episode"\]'):
        tiny().check(data._replace(extras={}), print)
    with pytest.raises(ValueError, match="num_transitions"):
        sfbc.make(sfbc.Config(), fakes.SPEC._replace(num_transitions=0))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("sampling_steps", 0), ("num_candidates", 0), ("alpha", -1.0)),
        *(("num_averaged", 33), ("generations", 0), ("planning_alpha", -1.0)),
        ("planning_samples", 0),
    ],
)
def test_bad_settings_name_the_field(field, value):
    with pytest.raises(ValueError, match=field):
        sfbc.Config(**{field: value})


def test_equal_returns_are_not_told_apart_by_their_rounding():
    data = fakes.random_transitions(jax.random.key(0))
    data = data._replace(reward=jnp.full(64, 1e4), terminal=jnp.ones(64))
    algorithm = tiny()
    state = algorithm.init(jax.random.key(1))
    state = algorithm.phases[1].refresh(state, jax.random.key(2), data, 0)
    mean, spread = state.scale
    np.testing.assert_allclose(mean, 1e4, rtol=1e-5)
    assert spread >= 1.0


def test_rewards_are_taken_as_recorded():
    options = presets.data_options(
        "paper", "sfbc", sfbc.Config(), tasks.get("antmaze-umaze-v2")
    )
    assert options.reward_transform == "identity"


def test_a_set_without_values_leaves_the_mean_of_an_audit_finite():
    q = jnp.full(3, jnp.nan)
    audit = _sampled.audit(q, inference.select(jnp.zeros((3, 2)), q))
    assert audit["bad_set"] == 1.0 and audit["q_above_mean"] == 0.0


def test_values_times_alpha_stay_finite():
    sfbc.Knobs(alpha=1e9).validate()
    with pytest.raises(ValueError, match="alpha must be between 0 and 1e"):
        sfbc.Knobs(alpha=1e10).validate()
