"""The table of finished runs."""

import pytest

from experiments import table
from gem_jax import errors


def summary(algo, seeds, scores, dataset="a", settings="1"):
    return {
        "env": "maze2d-umaze-v1",
        "algo": algo,
        "source": "local",
        "dataset": dataset,
        "settings": settings,
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
    ("other", "message"),
    [
        (summary("iql", [0], [5.0]), "share a seed or differ"),
        (summary("iql", [1], [5.0], settings="2"), "share a seed or differ"),
        (summary("bc", [1], [5.0], dataset="b"), "different data: a, b"),
    ],
)
def test_runs_that_do_not_compare_are_refused(other, message):
    with pytest.raises(errors.UserError, match=message):
        table.format_table([summary("iql", [0], [1.0]), other], {})
