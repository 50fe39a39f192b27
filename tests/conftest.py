import jax
import pytest

# A silent [B] - [B, 1] -> [B, B] becomes an error.
jax.config.update("jax_numpy_rank_promotion", "raise")


@pytest.fixture
def key():
    return jax.random.key(0)
