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
