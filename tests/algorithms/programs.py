"""Functions as programs: called by hand, each of their operations would be compiled."""

import functools
import inspect
import types

import jax
import numpy as np

_NAMES = ("init", "apply", "update", "act", "refresh", "prepare", "lowest")


def compiled(functions):
    """Networks, learners, phases or algorithms, what they compute in one piece each."""
    found = {
        name: jax.jit(getattr(functions, name))
        for name in _NAMES
        if getattr(functions, name, None) is not None
    }
    return functions._replace(**found)


def whole(module):
    """The module, whose functions run in one piece and bring their results to the host.

    Numbers, labels and functions among the arguments are known to the program, as they
    are to what runs step by step, and so checked. Amid another trace nothing changes.
    """
    found = {
        name: _whole(value) if inspect.isfunction(value) else value
        for name, value in vars(module).items()
        if not name.startswith("__")
    }
    return types.SimpleNamespace(**found)


def _whole(function):
    @functools.lru_cache
    def program(tree, known, kinds):
        del kinds

        def run(arrays):
            leaves = list(arrays)
            for place, value in known:
                leaves.insert(place, value)
            arguments, options = jax.tree.unflatten(tree, leaves)
            return function(*arguments, **options)

        return jax.jit(run)

    @functools.wraps(function)
    def call(*arguments, **options):
        leaves, tree = jax.tree.flatten((arguments, options))
        if any(isinstance(leaf, jax.core.Tracer) for leaf in leaves):
            return function(*arguments, **options)
        arrays = [leaf for leaf in leaves if isinstance(leaf, jax.Array | np.ndarray)]
        known = tuple(
            (place, leaf)
            for place, leaf in enumerate(leaves)
            if not isinstance(leaf, jax.Array | np.ndarray)
        )
        kinds = tuple(type(leaf) for _, leaf in known)  # 1 is not 1.0
        return jax.device_get(program(tree, known, kinds)(arrays))

    return call
