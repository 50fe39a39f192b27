"""The table of finished runs."""

import pytest

from experiments import score_table
from gem_jax import errors


def summary(algo, seeds, scores, dataset="a", settings="1", env="maze2d-umaze-v1"):
    return {
        "env": env,
        "behavior_score": 5.0,
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
        summary("iql", [0], [40.0], env="maze2d-large-v1"),
    ]
    head, _, large, umaze, mean = score_table.format_table(
        runs, score_table.published()
    ).splitlines()
    assert head == "| task | data | behavior | bc | iql | iql, published |"
    assert large == "| maze2d-large-v1 | local | 5.0 | - | 40.0 ± 0.0 (1) | 61.72 |"
    assert umaze == (
        "| maze2d-umaze-v1 | local | 5.0 | 1.0 ± 0.0 (1) | 20.0 ± 8.2 (3) | 42.11 |"
    )
    assert mean == "| mean |  | 5.0 | - | 30.0 |  |"


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
        score_table.format_table([summary("iql", [0], [1.0]), other], {})
