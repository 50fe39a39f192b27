"""The table of finished runs."""

import json

import pytest

from experiments import csv_rows, score_table, sweep_table
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
        "| maze2d-umaze-v1 | local | 5.0 | 1.0 ± 0.0 (1) | 20.0 ± 10.0 (3) | 42.11 |"
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


def test_the_anchor_alone_has_a_column_where_a_sweep_has_measured_it(tmp_path):
    own = {"kappa": 1.0, "num_candidates": 64}
    run = summary("gem", [4, 5], [50.0, 70.0]) | {"steps": 30}
    (tmp_path / "config.json").write_text('{"identity": {"env": "maze2d-umaze-v1"}}')
    (tmp_path / "summary.json").write_text(json.dumps(run))
    (tmp_path / "eval.jsonl").write_text(json.dumps({"step": 30, "knobs": own}) + "\n")
    measured = [
        *((30, 4, 0, 1.0, 20.0), (30, 5, 0, 1.0, 40.0)),
        *((30, 4, 0, 2.0, 90.0), (30, 5, 64, 1.0, 90.0), (20, 4, 0, 1.0, 90.0)),
    ]
    names = ("step", "seed", "num_candidates", "kappa", "normalized_score")
    rows = [dict(zip(names, values, strict=True)) for values in measured]
    csv_rows.append(tmp_path / sweep_table.FILE, sweep_table.COLUMNS, rows)

    table = score_table.format_table(score_table.read_summaries(tmp_path), {})

    head, _, row = table.splitlines()
    assert head == "| task | data | behavior | gem | gem, N = 0 | gem, published |"
    assert row.split(" | ")[3:5] == ["60.0 ± 14.1 (2)", "30.0 ± 14.1 (2)"]
