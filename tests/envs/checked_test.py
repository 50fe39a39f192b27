"""A task's environment: spaces that fit, faults that are told in one line."""

import gymnasium
import numpy as np
import pytest
import strange_envs
from strange_envs import HIGH, HORIZON, LOW

from gem_jax import data, errors
from gem_jax.envs.checked import CheckedEnv


def task(env_id="strange_envs:Point-v0", size=3, keys=(), low=LOW, high=HIGH, **kwargs):
    return data.Task(
        name="my-point",
        env_id=env_id,
        env_kwargs=kwargs,
        observation_size=size,
        observation_keys=keys,
        action_size=len(low),
        action_low=low,
        action_high=high,
        horizon=HORIZON,
    )


@pytest.mark.parametrize("takes", ["box", "box64", "column"])
@pytest.mark.parametrize("observes", ["vector", "matrix"])
def test_whatever_it_returns_becomes_floats(observes, takes):
    """It pays whole numbers and observes float64."""
    env = CheckedEnv(task(observes=observes, takes=takes))
    observation, _ = env.reset(seed=3)
    assert observation.shape == (3,) and observation.dtype == np.float32
    again, _ = env.reset(seed=3)
    np.testing.assert_array_equal(observation, again)
    observation, reward, ended, cut, info = env.step(np.float32(HIGH))
    assert observation.shape == (3,) and type(reward) is float
    assert (ended, cut) == (False, False) and set(info) == {"success"}
    (action,) = env._env.unwrapped.taken
    space = env._env.action_space
    assert space.contains(action) and action.dtype == space.dtype
    env.close()


def test_a_bound_between_two_floats_is_kept():
    """0.1 of float64 lies below that of float32."""
    space = gymnasium.spaces.Box(np.array([-0.1]), np.array([0.1]), dtype=np.float64)
    strange_envs.ACTIONS["narrow"] = space
    env = CheckedEnv(task(takes="narrow", low=(-0.1,), high=(0.1,)))
    env.reset(seed=0)
    env.step(np.float32([0.1]))  # the environment asserts that its space has it
    assert env._env.unwrapped.taken[0] == 0.1


def test_the_horizon_ends_what_never_ends_itself():
    env = CheckedEnv(task())
    env.reset(seed=0)
    cuts = [env.step(np.zeros(2, np.float32))[3] for _ in range(HORIZON)]
    assert cuts == [False] * (HORIZON - 1) + [True]


def test_dicts_are_flattened_by_gymnasiums_rule_or_by_keys():
    def first(**how):
        env = CheckedEnv(task(**how))
        return env, env.reset(seed=1)[0]

    env, by_rule = first(observes="numbers")
    wrapped = gymnasium.wrappers.FlattenObservation(
        strange_envs.PointEnv(observes="numbers")
    )
    np.testing.assert_array_equal(by_rule, np.float32(wrapped.reset(seed=1)[0]))
    by_rule = by_rule.tolist()  # clock, place
    _, picked = first(observes="numbers", keys=("place", "clock"))
    assert picked.tolist() == [*by_rule[1:], by_rule[0]]
    _, picked = first(observes="dict", keys=("place",), size=2)  # past the camera
    assert picked.tolist() == by_rule[1:]


@pytest.mark.parametrize(
    ("how", "named"),
    [
        (dict(env_id=None), "names no environment to evaluate in; give env_id"),
        (
            dict(env_id="Nowhere-v0"),
            "environment Nowhere-v0: making it failed: NameNot",
        ),
        (dict(env_id="no_such_module:A-v0"), "ModuleNotFoundError: No module named"),
        (dict(color="red"), "making it failed: TypeError"),
        (dict(fault="making"), "RuntimeError: no license for this robot (at "),
        (dict(size=4), "observes 3 numbers, and my-point says observation_size = 4"),
        (dict(keys=("place",)), "observes no dict but Box"),
        (dict(observes="numbers", keys=("wheels",)), "no 'wheels'; there are clock, p"),
        (dict(observes="image", size=48), "observes images: its observation has shape"),
        (dict(observes="gray", size=64), "observes images"),
        (dict(observes="dict", size=51), "observes images: its observation 'camera'"),
        (dict(observes="dict", keys=("camera",), size=48), "observation 'camera' has"),
        (dict(observes="endless", size=1), "which has no fixed length"),
        (dict(takes="discrete"), "takes Discrete(5): discrete actions and mixed ones"),
        (dict(takes="several"), "discrete actions and mixed ones are not supported"),
        (dict(takes="whole"), "discrete actions and mixed ones are not supported"),
        (dict(takes="endless"), "sets no finite bounds to its actions"),
        (dict(takes="longer"), "takes 3 numbers, and my-point says action_size = 2"),
        (
            dict(takes="other"),
            "have action_low = [-1.0, -1.0], and my-point says [-2.0",
        ),
        (
            dict(high=(4.0, 1.5)),
            "have action_high = [4.0, 1.0], and my-point says [4.0",
        ),
    ],
)
def test_what_does_not_fit_is_refused_at_once(how, named):
    with pytest.raises(errors.UserError) as raised:
        CheckedEnv(task(**how))
    line = str(raised.value)
    assert named in line and "\n" not in line


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("reset", "reset failed: ValueError: the arm is stuck (at "),
        ("step", "step failed: KeyError: 'joint 3' (at "),
        ("four values", "step failed: ValueError: not enough values to unpack"),
        (
            "short",
            "returned an observation of 2 numbers, and its observation_space has 3",
        ),
        ("reward", "step failed: TypeError: float() argument"),
        ("no info", "step failed: TypeError: argument of type 'NoneType'"),
    ],
)
def test_what_it_raises_is_told_with_its_place(fault, named):
    env = CheckedEnv(task(fault=fault))
    with pytest.raises(errors.UserError) as raised:
        env.reset(seed=0)
        env.step(np.zeros(2, np.float32))
    line = str(raised.value)
    assert line.startswith("environment strange_envs:Point-v0") and named in line
    assert ("strange_envs.py:" in line) == ("(at " in named)
    assert "\n" not in line
