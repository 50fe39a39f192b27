"""Candidates by chunks are candidates at once."""

import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gem_jax import inference
from gem_jax.inference import chunks


def squares(candidates):
    """Two kinds of outputs: `[2, c]` and `[c]`."""
    total = jnp.sum(candidates**2, axis=-1)
    return jnp.stack([total, -total]), total


def test_three_chunks_of_five_candidates_by_hand():
    candidates = jnp.arange(10.0).reshape(5, 2)
    pair, total = inference.map_chunks(squares, candidates, 2)
    np.testing.assert_array_equal(total, [1.0, 13.0, 41.0, 85.0, 145.0])
    np.testing.assert_array_equal(pair, [total, -total])


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 30), st.integers(1, 40))
def test_the_chunk_size_does_not_matter(size, chunk_size):
    rng = np.random.default_rng(size)
    candidates = rng.normal(size=(size, 3)).astype(np.float32)
    got = inference.map_chunks(squares, candidates, chunk_size)
    total = np.sum(candidates**2, axis=-1)
    expected = np.stack([total, -total]), total
    for a, b in zip(got, expected, strict=True):
        assert a.shape == b.shape
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_chunks_are_even_so_that_little_is_padded():
    shapes = []

    def function(candidates):
        shapes.append(candidates.shape)
        return candidates[:, 0]

    inference.map_chunks(function, jnp.zeros((1025, 2)), 512)
    assert shapes == [(342, 2)]


def test_a_cpu_bounds_its_chunks_by_itself():
    assert chunks.automatic_chunk() == chunks.CPU_CHUNK


def test_a_negative_chunk_size_is_refused():
    with pytest.raises(ValueError, match="chunk_size must be at least 0"):
        inference.map_chunks(squares, jnp.zeros((5, 2)), -1)
