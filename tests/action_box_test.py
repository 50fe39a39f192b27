"""Boxes of actions: the map, and everything that acts through it."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gem_jax import policy, proposing, run_settings
from gem_jax.action_box import ActionBox
from gem_jax.algorithms import bc
from gem_jax.testing import fakes
from gem_jax.types import ActOutput, EnvSpec

LOW, HIGH = (-2.0, 0.0), (4.0, 0.1)
BOX = ActionBox.of(LOW, HIGH)
SPEC = EnvSpec(3, 2, 20)
BOXED = SPEC._replace(action_low=LOW, action_high=HIGH)


def by_hand(unit):
    """Float64, from the definition: -1 is the low bound, 1 the high one."""
    low, high = np.array(LOW), np.array(HIGH)
    return low + (np.asarray(unit, np.float64) + 1.0) / 2.0 * (high - low)


def test_the_ends_and_the_middle_by_hand():
    unit = np.float32([[-1, -1], [0, 0], [1, 1], [0.5, -0.5]])
    raw = np.float32([[-2, 0], [1, 0.05], [4, 0.1], [2.5, 0.025]])
    np.testing.assert_allclose(BOX.to_raw(unit), raw, rtol=1e-6)
    np.testing.assert_allclose(BOX.to_unit(raw), unit, atol=1e-6)
    np.testing.assert_array_equal(BOX.center, raw[1])
    assert BOX.to_raw(unit).dtype == BOX.to_unit(raw).dtype == np.float32
    assert str(BOX) == "[(-2, 0), (4, 0.1)]" and str(ActionBox()) == "[-1, 1]"


number = st.floats(-1e6, 1e6, width=32)


@settings(max_examples=200, deadline=None)
@given(number, number, st.floats(-1.0, 1.0, width=32))
def test_there_and_back_and_never_outside(one, other, unit):
    low, high = min(one, other), max(one, other)
    half = (high - low) / 2
    if high - low < 1e-3 * max(abs(low), abs(high)) or high - low < 1e-30:
        return  # refused, or all but: a task's bounds leave room between them
    box = ActionBox.of([low], [high])
    raw = box.to_raw(np.float32([unit]))
    assert np.float32(low) <= raw[0] <= np.float32(high)
    grain = np.spacing(np.float32(max(abs(low), abs(high)))) / half
    assert abs(box.to_unit(raw)[0] - unit) <= 4 * grain + 1e-6
    over = box.to_raw(np.float32([1.5, -1.5]))
    np.testing.assert_array_equal(over, np.float32([high, low]))


def test_in_the_box_of_one_nothing_happens():
    action = np.float32([[0.1, 7.0]])
    for box in (ActionBox(), ActionBox.of((-1.0, -1.0), (1.0, 1.0)), SPEC.action_box):
        assert box.is_unit and box == ActionBox()
        assert box.to_raw(action) is action and box.to_unit(action) is action
    np.testing.assert_array_equal(ActionBox().clip(action), np.float32([[0.1, 1.0]]))
    assert not ActionBox.of((-1.0,), (2.0,)).is_unit


@pytest.fixture
def pair(key):
    """One network, in [-1, 1] and in the box."""
    unit, boxed = (bc.make(bc.Config(hidden_sizes=(4,)), s) for s in (SPEC, BOXED))
    params = fakes.policy_params(unit.actor_params(jax.jit(unit.init)(key)), SPEC)
    return policy.bind(unit, params), policy.bind(boxed, params)


def test_a_policy_acts_in_raw_units(pair, key):
    unit, boxed = pair
    observation = 5.0 * jax.random.normal(key, (6, 3))
    observation = observation.at[2].set(jnp.nan)
    expected, found = (acting.act(key, observation) for acting in pair)
    np.testing.assert_allclose(found.action, by_hand(expected.action), rtol=1e-5)
    np.testing.assert_allclose(found.action[2], [1.0, 0.05], rtol=1e-6)  # the middle
    assert found.audit["bad_observation"][2] == 1 and expected.action[2].sum() == 0
    assert boxed.spec.action_box == BOX and unit.spec.action_box.is_unit


def test_the_box_costs_nothing_where_it_is_that_of_one(pair, key):
    """The program is the one from before there were boxes, told or not."""
    told = SPEC._replace(action_low=(-1.0, -1.0), action_high=(1.0, 1.0))
    acts = fakes.acts_by(lambda p, k, o, t, knobs: ActOutput(p * o[:2], {}), SPEC)
    arguments = fakes.policy_params(jnp.ones(2), SPEC), key, (), _seen(), ()
    programs = {
        str(
            jax.make_jaxpr(policy.bind(acts._replace(spec=spec), ()).batched)(
                *arguments
            )
        )
        for spec in (SPEC, told)
    }
    assert len(programs) == 1
    boxed = policy.bind(acts._replace(spec=BOXED), ()).batched
    assert str(jax.make_jaxpr(boxed)(*arguments)) not in programs


def _seen():
    return policy.acting.Seen(jnp.ones((1, 3)), jnp.zeros(1))


def test_memory_is_told_what_was_executed_in_its_own_units(key):
    """The sum of last actions is an audit; the first step has none."""
    acting = policy.bind(fakes.remembers(BOXED), fakes.policy_params(jnp.ones(2), SPEC))
    memory = acting.init_memory(1)
    observation = np.zeros((1, 3), np.float32)
    output, memory = acting.take_step(key, memory, observation)
    assert output.audit["actions"][0] == 0.0
    last = dict(last_action=[[4.0, 0.0]], last_reward=[0.0])  # 1 and -1
    output, memory = acting.take_step(key, memory, observation, [1], **last)
    assert output.audit["actions"][0] == pytest.approx(0.0, abs=1e-6)
    last["last_action"] = [[2.5, 0.075]]  # 0.5 each
    output, _ = acting.take_step(key, memory, observation, [2], **last)
    assert output.audit["actions"][0] == pytest.approx(1.0, abs=1e-6)


def test_what_a_policy_proposes_to_another_lies_in_the_box_of_one(pair, key):
    unit, boxed = pair
    sampler = proposing._make_sampler("bc", boxed)
    found = sampler(boxed.params, key, jnp.ones(3), jnp.zeros(()), 1)
    expected = unit.act(key, jnp.ones((1, 3))).action
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_a_record_brings_its_box_back_and_an_old_one_is_that_of_one():
    config = dataclasses.asdict(bc.Config(hidden_sizes=(4,)))
    record = {"algo": "bc", "config": config, "spec": BOXED._asdict()}
    record["spec"] |= {"action_low": list(LOW), "action_high": list(HIGH)}  # JSON's
    algorithm, spec = run_settings.rebuild(record)
    assert spec == BOXED == algorithm.spec and hash(spec) == hash(BOXED)
    record["spec"] = {"observation_size": 3, "action_size": 2, "horizon": 20}
    assert run_settings.rebuild(record)[1].action_box.is_unit
