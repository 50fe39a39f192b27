"""EMPO's phases one by one: what each begins with, and how long it lasts."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax.algorithms import empo
from gem_jax.testing import fakes

SMALL = empo.Config(
    batch_size=10,  # 7 steps a pass over the 64 transitions
    hidden_sizes=(4,),
    biased_epochs=2,
    uniform_epochs=3,
    em_epochs=4,
    critic_steps=11,
    value_epochs=2,
    improve_epochs=3,
    chunk_size=30,
    num_steps=13,
)


def phases(**changes):
    algorithm = empo.make(dataclasses.replace(SMALL, **changes), fakes.SPEC)
    return algorithm, {phase.name: phase for phase in algorithm.phases}


def test_lengths_and_refreshes():
    _, found = phases()
    sizes = {
        name: (phase.num_steps, phase.batch_size, phase.refresh_every)
        for name, phase in found.items()
    }
    assert sizes == {
        "biased": (14, 10, 14),
        "uniform": (21, 10, 21),
        "em": (28, 10, 7),
        "critic": (11, 10, 11),
        "value": (14, 10, 0),
        "improve": (9, 30, 9),
        "choose": (13, 10, 0),
    }


@pytest.mark.parametrize("epochs", [(2, 0), (2, 3), (0, 0)])
def test_em_begins_from_even_posteriors_whatever_came_before(epochs, key):
    algorithm, found = phases(biased_epochs=epochs[0], uniform_epochs=epochs[1])
    start = 7 * sum(epochs)
    # With parameters of zero the clusters' policies are alike, and so the fresh
    # posterior is even; the one before is not.
    shapes = jax.eval_shape(algorithm.init, key)
    state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), shapes)
    one_sided = jnp.array([[1.0, 0.0]] * fakes.NUM_EPISODES)
    clusters = dataclasses.replace(state.clusters, posterior=one_sided)
    dataset = fakes.random_transitions(key)
    for step, expected in [(start, [0.5, 0.5]), (start + 7, [0.95, 0.05])]:
        moved = dataclasses.replace(state, clusters=clusters, step=jnp.int32(step))
        after = found["em"].refresh(moved, key, dataset).clusters.posterior
        np.testing.assert_allclose(after, [expected] * 4, rtol=1e-5)
