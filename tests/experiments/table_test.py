"""The table of finished runs."""

import json

import pytest

from experiments.lib import csv_rows, evaluations
from experiments.table import published
from experiments.table import scores as score_table
from gem_jax import errors
from gem_jax.data import ogbench, tasks
from gem_jax.data.ogbench import rows
from gem_jax.training import rundir

ONLINE = {"online_steps": 500}


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


def cells(line):
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_seeds_of_several_runs_are_pooled_beside_the_published_scores():
    runs = [
        summary("iql", [0, 1], [10.0, 20.0]),
        summary("iql", [2], [30.0]),
        summary("bc", [0], [1.0]),
        summary("iql", [0], [40.0], env="maze2d-large-v1"),
    ]
    head, _, large, umaze, mean = score_table.format_table(
        runs, published.everything()
    ).splitlines()
    assert cells(head) == ["task", "data", "behavior", "bc", "iql", "iql, published"]
    assert cells(large) == [
        *("maze2d-large-v1", "local", "5.0", "-", "40.0 ± 0.0 (1)", "61.72")
    ]
    assert cells(umaze) == [
        *("maze2d-umaze-v1", "local", "5.0"),
        *("1.0 ± 0.0 (1)", "20.0 ± 10.0 (3)", "42.11"),
    ]
    assert cells(mean) == ["mean", "", "5.0", "-", "30.0", ""]


def test_success_on_ogbench_stands_beside_what_its_paper_lists():
    env = "puzzle-3x3-play-singletask-v0"  # whose task 4 it is
    runs = [summary(algo, [0], [9.0], env=env) for algo in ("bc", "fql", "percent_bc")]
    head, _, row = score_table.format_table(runs, published.everything()).splitlines()
    assert cells(head)[6:] == ["bc, published", "fql, published"]
    assert cells(row)[6:] == ["1 ± 1", "16 ± 5"]


def test_success_listed_of_a_set_is_the_mean_of_its_five_tasks():
    listed, scores = published.everything(), published.scores()
    success = {name: row for name, row in listed.items() if name not in scores}
    sets = {ogbench.dataset(tasks.get(n)) for n in success if "singletask" in n}
    assert sets <= set(success) and len(success) == 7 * len(sets) == 35
    for name in sets:
        default, *five = [t.name for t in rows.rows() if ogbench.dataset(t) == name]
        same = [n for n in five if tasks.get(n).env_id == tasks.get(default).env_id]
        assert success[same[0]] | {"dataset": default} == success[default]
        for method in set(success[name]) - {"dataset"}:
            means = [float(success[task][method].split()[0]) for task in five]
            mean = float(success[name][method].split()[0])
            # All are rounded to whole percents.
            assert abs(sum(means) / 5 - mean) <= 1.0, (name, method)


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


@pytest.mark.parametrize("name, online", [("gem", {}), ("gem, online", ONLINE)])
def test_the_anchor_alone_has_a_column_where_a_sweep_has_measured_it(
    tmp_path, name, online
):
    own = {"kappa": 1.0, "num_candidates": 64}
    folders = [tmp_path / "a", tmp_path / "b"]
    for folder, seeds, scores in zip(folders, ([4, 5], [6]), ([50, 70], [60])):
        folder.mkdir()
        identity = {"env": "maze2d-umaze-v1", "seeds": seeds}
        record = {"identity": identity, "format": rundir.FORMAT}
        last = {"step": 30, "episodes": 9, "knobs": own}
        (folder / "config.json").write_text(json.dumps(record))
        run = summary("gem", seeds, scores) | {"steps": 30} | online
        (folder / "summary.json").write_text(json.dumps(run))
        (folder / "eval.jsonl").write_text(json.dumps(last) + "\n")
    origin = {name: run[name] for name in ("env", "algo", "source")} | {"episodes": 9}
    origin["settings"] = rundir.settings_hash(record)
    names = ("step", "seed", "num_candidates", "kappa", "normalized_score")
    measured = [(30, 4, 0, 1.0, 20.0), (30, 5, 0, 1.0, 40.0), (30, 6, 0, 1.0, 30.0)]
    rows = [origin | dict(zip(names, values)) for values in measured]
    rows += [
        rows[0] | {"normalized_score": 90.0, name: value}
        for name, value in {
            "step": 20, "num_candidates": 64, "kappa": 2.0, "episodes": 3,
            "settings": "other", "source": "d4rl", "seed": 7,
        }.items()
    ]  # fmt: skip
    columns = (*origin, *names)
    csv_rows.append(folders[0] / evaluations.SWEEP, columns, rows)

    table = score_table.format_table(score_table.read_summaries(folders), {})

    head, _, row = table.splitlines()
    assert cells(head)[3:5] == [name, f"{name}, N = 0"]
    assert cells(row)[3:5] == ["60.0 ± 10.0 (3)", "30.0 ± 10.0 (3)"]


def test_without_all_seeds_at_n_0_there_is_no_such_column(tmp_path):
    run = summary("gem", [4, 5], [50.0, 70.0]) | {"steps": 30}
    (tmp_path / "config.json").write_text(
        json.dumps({"identity": {}, "format": rundir.FORMAT})
    )
    (tmp_path / "summary.json").write_text(json.dumps(run))
    last = {"step": 30, "episodes": 9, "knobs": {}}
    (tmp_path / "eval.jsonl").write_text(json.dumps(last) + "\n")
    assert [s["algo"] for s in score_table.read_summaries([tmp_path])] == ["gem"]


def test_scores_of_going_online_stand_apart_from_published_ones(tmp_path):
    for name, steps in (("data", 0), ("data/online", 500)):
        folder = tmp_path / name
        folder.mkdir()
        content = summary("iql", [0], [1.0 + steps]) | {"online_steps": steps}
        content.pop("settings", None)
        rundir.write_json(folder / rundir.SUMMARY, content)
        record = {"format": rundir.FORMAT, "identity": {"steps": steps}}
        rundir.write_json(folder / rundir.CONFIG, record)
    folders = [tmp_path / "data", tmp_path / "data" / "online"]
    summaries = score_table.read_summaries(folders)
    assert [s["algo"] for s in summaries] == ["iql", "iql, online"]
    head, *_ = score_table.format_table(summaries, {}).splitlines()
    assert "iql, published" in head and "online, published" not in head
