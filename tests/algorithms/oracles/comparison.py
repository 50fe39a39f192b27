"""A state with parameters at random, batches, and what must agree after each step."""

import dataclasses

import jax
import numpy as np

from gem_jax.types import EnvSpec, Transition
from oracles import descent

SPEC = EnvSpec(observation_size=3, action_size=2, horizon=20)
_ROWS = 12
_SEED = 770  # with it the weight's cap holds for some rows of each batch


def start(algorithm):
    """A state before training, every parameter at random."""
    shapes = jax.eval_shape(algorithm.init, jax.random.key(0))  # compiles nothing
    state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    parts = {}
    for seed, name in enumerate(
        ("actor", "behavior", "critic", "values", "modes", "beta"), _SEED
    ):
        if hasattr(state, name):
            parts[name] = _drawn(getattr(state, name), seed)
    state = dataclasses.replace(state, **parts)
    if getattr(state, "values", None) is not None:
        values = _with_targets(state.values, "critic")
        state = dataclasses.replace(state, values=values)
    return jax.device_put(_with_targets(state, "critic", "actor"))


def _drawn(tree, seed):
    """Parameters of the same shapes; log-std from -2 to 1, some beyond the bounds.

    What is no parameter stays as it is.
    """
    rng = np.random.default_rng(seed)

    def draw(path, leaf):
        text = jax.tree_util.keystr(path)
        if "opt_state" in text or "params" not in text:
            return leaf
        if "log_stds" in text:
            return np.linspace(-2, 1, leaf.size, dtype=np.float32).reshape(leaf.shape)
        return rng.normal(0.0, 0.5, leaf.shape).astype(np.float32)

    return jax.tree_util.tree_map_with_path(draw, tree)


def _with_targets(state, *names):
    """Targets begin as copies."""
    copies = {
        f"target_{name}": jax.tree.map(np.copy, getattr(state, name).params)
        for name in names
        if hasattr(state, f"target_{name}")
    }
    return dataclasses.replace(state, **copies)


def batch(seed):
    """Rows with and without terminals."""
    rng = np.random.default_rng(seed)
    rows = Transition(
        observation=rng.normal(size=(_ROWS, 3)),
        action=rng.uniform(-1, 1, (_ROWS, 2)),
        reward=rng.normal(size=_ROWS),
        next_observation=rng.normal(size=(_ROWS, 3)),
        terminal=(np.arange(_ROWS) % 3 == 0).astype(float),
    )
    return jax.tree.map(lambda leaf: leaf.astype(np.float32), rows)


def widened(rows):
    """The batch as an oracle reads it."""
    return jax.tree.map(lambda leaf: leaf.astype(np.float64), rows)


def assert_params(params, expected):
    found = descent.leaves(descent.float64(params))
    for (path, a), (_, b) in zip(found, descent.leaves(expected), strict=True):
        # Adam divides by the gradient's size, so a small gradient's rounding counts.
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=2e-5, err_msg=path)


def assert_learned(state, adam):
    """Parameters, and moments, which alone show the gradient's scale."""
    assert_params(state.params, adam.params)
    nodes = jax.tree.leaves(state.opt_state, is_leaf=lambda node: hasattr(node, "mu"))
    moments = next(node for node in nodes if hasattr(node, "mu"))
    for found, expected in ((moments.mu, adam.first), (moments.nu, adam.second)):
        largest = max(np.abs(leaf).max() for _, leaf in descent.leaves(expected))
        pairs = zip(
            descent.leaves(descent.float64(found)),
            descent.leaves(expected),
            strict=True,
        )
        for (path, a), (_, b) in pairs:
            np.testing.assert_allclose(a, b, 2e-5, 2e-5 * largest, err_msg=path)


def assert_metrics(found, expected):
    for name, number in expected.items():
        np.testing.assert_allclose(
            found[name], number, rtol=1e-5, atol=1e-5, err_msg=name
        )
