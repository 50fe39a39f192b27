"""The names that users rely on."""

import gem_jax
from gem_jax import algorithms, data, inference


def test_public_names():
    assert gem_jax.__all__ == ["Policy", "load"]
    assert callable(gem_jax.load) and isinstance(gem_jax.Policy, type)
    assert inference.__all__ == [
        "Knobs",
        "Mixture",
        "Sampler",
        "ScoreOutput",
        "Selection",
        "audit",
        "lambda_schedule",
        "map_chunks",
        "propose",
        "score",
        "select",
    ]
    assert algorithms.names() == ["bc", "empo", "gem", "iql", "td3_bc"]
    assert data.__all__ == ["OfflineDataset", "Provenance", "load", "read"]


def test_unknown_names_are_attribute_errors():
    assert not hasattr(gem_jax, "no_such_name")
