"""Rows by tiles are rows at once."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gem_jax import algorithms, batching, inference
from gem_jax.algorithm import batched_act
from gem_jax.algorithms import gem
from gem_jax.testing import fakes
from gem_jax.types import ActOutput


@pytest.mark.parametrize("rows", [1, 5, 9])
def test_rows_by_tiles_are_rows_at_once(key, rows):
    config = gem.Config(hidden_sizes=(8, 8), num_critics=2, num_candidates=60)
    algorithm = gem.make(config, fakes.SPEC)  # four rows of 61 candidates fill a chunk
    inputs = (
        algorithm.actor_params(algorithm.init(key)),
        jax.random.split(key, rows),
        jax.random.normal(key, (rows, fakes.SPEC.observation_size)),
        jnp.arange(rows),
        algorithm.knobs,
    )
    got, expected = (
        jax.jit(tiling(algorithm.act))(*inputs)
        for tiling in (batching.tiled_act, batched_act)
    )
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5),
        got,
        expected,
    )


@pytest.mark.parametrize("name", sorted(algorithms.ALGORITHMS))
def test_algorithms_without_candidates_are_batched_too(key, name):
    algorithm = algorithms.make(name, algorithms.config_class(name)(), fakes.SPEC)
    params = jax.eval_shape(lambda k: algorithm.actor_params(algorithm.init(k)), key)
    keys, observations = jax.random.split(key, 300), jnp.zeros((300, 3))
    act = batching.tiled_act(algorithm.act)
    output = jax.eval_shape(
        act, params, keys, observations, jnp.zeros(300), algorithm.knobs
    )
    assert output.action.shape == (300, 2)


def test_rows_on_an_accelerator_share_its_chunk(key, monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    shapes = []

    def act(params, key, observation, t, knobs):
        def score(candidates):
            shapes.append(candidates.shape)
            return candidates[:, 0] * observation[0]

        candidates = jnp.zeros((knobs.set_size, 2))
        scores = inference.map_chunks(score, candidates, knobs.chunk_size)
        return ActOutput(candidates[jnp.argmax(scores)], {})

    inputs = None, jax.random.split(key, 4), jnp.ones((4, 3)), jnp.zeros(4)
    for chunk_size in (0, 50_000):
        knobs = inference.Knobs(num_candidates=99_999, chunk_size=chunk_size)
        jax.eval_shape(batching.tiled_act(act), *inputs, knobs)
    # 65,536 candidates over four rows; what the caller asks for is for each row.
    assert set(shapes) == {(100_000 // 7 + 1, 2), (50_000, 2)}
