"""The table of finished runs."""

import pytest

from experiments import table
from gem_jax import errors


def summary(algo, seeds, scores, env="maze2d-umaze-v1", steps=10):
    return {
        "env": env,
        "algo": algo,
        "source": "local",
        "steps": steps,
        "seeds": seeds,
        "normalized_score": {"per_seed": scores},
    }


def test_seeds_of_several_runs_are_pooled_beside_the_published_scores():
    runs = [
        summary("iql", [0, 1], [10.0, 20.0]),
        summary("iql", [2], [30.0]),
        summary("bc", [0], [1.0]),
    ]
    head, _, row = table.format_table(runs, table.published()).splitlines()
    assert head == "| task | data | bc | iql | iql, published |"
    assert row == "| maze2d-umaze-v1 | local | 1.0 ± 0.0 (1) | 20.0 ± 8.2 (3) | 42.11 |"


@pytest.mark.parametrize(
    "other", [summary("iql", [0], [5.0]), summary("iql", [1], [5.0], steps=20)]
)
def test_runs_that_cannot_be_pooled_are_refused(other):
    with pytest.raises(errors.UserError, match="share a seed or differ"):
        table.format_table([summary("iql", [0], [1.0]), other], {})
