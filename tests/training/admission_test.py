"""Nothing unfit enters a run: one line names the field."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, errors
from gem_jax.algorithms import bc
from gem_jax.testing import fakes
from gem_jax.training import admission, loop


def dataset(**changes):
    """Ten transitions of NumPy arrays."""
    leaves = jax.tree.map(np.array, fakes.random_transitions(jax.random.key(0), 10))
    return leaves._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"reward": np.zeros(9)}, "dataset.reward has 9 rows, dataset.observation 10"),
        ({"terminal": np.zeros(11)}, "dataset.terminal has 11 rows"),
        ({"next_observation": np.zeros((1, 3))}, "dataset.next_observation has 1 rows"),
        (
            {"next_observation": np.zeros((10, 4))},
            r"next_observation has shape \(10, 4",
        ),
        ({"action": np.zeros(10)}, r"dataset.action must be \[D, size\], got shape"),
        ({"reward": np.zeros((10, 1))}, r"dataset.reward must be \[D\], got shape"),
        ({"extras": {"weight": np.ones(5)}}, r"dataset.extras\['weight'\] has 5 rows"),
        ({"extras": {"weight": 1.0}}, r"dataset.extras\['weight'\] has 0 rows"),
        ({"reward": [None] * 10}, "dataset.reward must be an array of real numbers"),
        ({"reward": ["a"] * 10}, "dataset.reward must be an array of real numbers"),
        (
            {"reward": np.ones(10, complex)},
            "reward must be .* real numbers, got complex",
        ),
    ],
)
def test_leaves_that_disagree_are_refused(changes, message):
    with pytest.raises(errors.UserError, match=message):
        admission.admit(dataset(**changes))


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_numbers_that_are_not_finite_are_found(bad, on_device):
    for name in ("observation", "action", "reward", "next_observation", "terminal"):
        leaf = getattr(dataset(), name).copy()
        place = (7,) if leaf.ndim == 1 else (7, 1)
        leaf[place] = bad
        given = dataset(**{name: leaf})
        if on_device:
            given = jax.device_put(given)
        text = str(list(place)).replace("[", r"\[").replace("]", r"\]")
        with pytest.raises(errors.UserError, match=f"dataset.{name}{text} is NaN"):
            admission.admit(given)
    weight = np.ones(10)
    weight[2] = bad
    extras = {"weight": weight, "a": np.zeros(10)}
    with pytest.raises(errors.UserError, match=r"extras\['weight'\]\[2\] is NaN"):
        admission.admit(dataset(extras=extras))


def test_numbers_too_large_for_float32_are_found():
    with pytest.raises(errors.UserError, match=r"dataset.reward\[0\] is NaN or inf"):
        admission.admit(dataset(reward=np.full(10, 1e300)))


@pytest.mark.parametrize("on_device", [False, True])
@pytest.mark.parametrize(
    ("field", "bad", "message"),
    [
        ("observation", 1e20, r"\[7, 0\] is 1e\+20, outside \[-1e\+15, 1e\+15\]"),
        ("next_observation", -2e15, r"\[7, 0\] is -2e\+15, outside"),
        ("reward", 1e16, r"\[7\] is 1e\+16, outside .* rescale"),
        ("action", 1.01, r"\[7, 0\] is 1.01, outside .*; rescale the actions"),
        ("action", -1.01, r"\[7, 0\] is -1.01, outside"),
        ("terminal", 2.0, r"\[7\] is 2, outside \[0, 1\]"),
        ("terminal", -0.5, r"\[7\] is -0.5, outside \[0, 1\]"),
    ],
)
def test_numbers_out_of_range_are_found(field, bad, message, on_device):
    leaf = getattr(dataset(), field).copy()
    leaf[(7, 0)[: leaf.ndim]] = bad
    given = dataset(**{field: leaf})
    with pytest.raises(errors.UserError, match=f"dataset.{field}{message}"):
        admission.admit(jax.device_put(given) if on_device else given)


def test_the_ends_of_the_ranges_are_taken():
    action = np.full((10, 2), 1.0005)  # rounding
    terminal = np.linspace(0.0, 1.0, 10)
    given = dataset(action=action, terminal=terminal, reward=np.full(10, -1e14))
    admitted = admission.admit(given._replace(extras={"w": np.full(10, 1e20)}))
    np.testing.assert_allclose(admitted.action, action)
    np.testing.assert_allclose(admitted.terminal, terminal, rtol=1e-6)


@pytest.mark.parametrize(
    ("bad", "dtype"),
    [(2**40, "i8"), (-(2**31) - 1, ">i8"), (2**32, "u8")],
)
def test_whole_numbers_beyond_32_bits_are_refused(bad, dtype):
    given = dataset(extras={"episode": np.array([0] * 9 + [bad], dtype)})
    with pytest.raises(errors.UserError, match=rf"extras\['episode'\].* {bad}.*int32"):
        admission.admit(given)
    kept = dataset(extras={"hash": np.array([0] * 9 + [2**32 - 1], "u8")})
    assert int(admission.admit(kept).extras["hash"][9]) == 2**32 - 1


def test_no_extras_are_none():
    assert admission.admit(dataset(extras=None)).extras == {}


def test_types_do_not_depend_on_what_is_given():
    given = dataset(
        observation=np.arange(30).reshape(10, 3).astype(">f8"),
        action=jnp.zeros((10, 2), jnp.bfloat16),
        reward=list(range(10)),
        terminal=np.zeros(10, bool),
        extras={
            "episode": np.arange(10, dtype=">i8"),
            "mask": np.ones(10, bool),
            "weight": np.ones(10, np.float16),
        },
    )
    admitted = admission.admit(given)
    for name in ("observation", "action", "reward", "next_observation", "terminal"):
        assert getattr(admitted, name).dtype == jnp.float32, name
    np.testing.assert_array_equal(admitted.observation[3], [9.0, 10.0, 11.0])
    np.testing.assert_array_equal(admitted.extras["episode"], np.arange(10))
    types = {name: leaf.dtype.name for name, leaf in admitted.extras.items()}
    assert types == {"episode": "int32", "mask": "bool", "weight": "float32"}


def test_an_empty_dataset_is_refused():
    empty = jax.tree.map(lambda leaf: leaf[:0], dataset())
    with pytest.raises(errors.UserError, match="has no rows"):
        admission.admit(empty)


def test_a_run_refuses_before_its_first_chunk_is_asked_for():
    algorithm = algorithms.make("bc", bc.Config(hidden_sizes=(4,)), fakes.SPEC)
    keys = loop.seed_keys([0])
    state = loop.init(algorithm, keys)
    with pytest.raises(errors.UserError, match="dataset.reward has 9 rows"):
        loop.run(algorithm, keys, dataset(reward=np.zeros(9)), state)
