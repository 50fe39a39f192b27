"""Tasks of one's own in tables: returns stand apart from scores."""

import csv
import hashlib
import json

import pytest
from strange_envs import ENVIRONMENT

from experiments.benchmark import tables
from experiments.lib import csv_rows, reevaluation
from experiments.study import report as study_report
from experiments.sweep import report as sweep_report
from experiments.table import scores as score_table
from gem_jax import data, errors
from gem_jax.data import task_file
from gem_jax.training import rundir


def test_a_grid_of_ones_own_task(run, place, tmp_path):
    output = tmp_path / "grid"
    columns = ("env", "method", "seed", "steps", "normalized_score")
    old = dict(zip(columns, ("hopper-medium-v2", "bc", "0", "3", "5.5")))
    csv_rows.append(output / "scores.csv", columns, [old])
    result = run(
        "benchmark",
        *("--methods=bc", f"--envs={place(ENVIRONMENT)}", "--preset=smoke"),
        *("--steps=3", "--num_seeds=2", f"--output={output}"),
    )
    assert result.returncode == 0, result.stderr
    assert "my-point (return)" in result.stdout
    assert (output / "my-point" / "bc" / "summary.json").exists()
    with (output / "scores.csv").open() as file:
        first, *rows = csv.DictReader(file)
    assert first == old | {"return_mean": "", "dataset": ""}
    assert [(row["env"], row["normalized_score"]) for row in rows] == [
        ("my-point", "")
    ] * 2
    assert all(float(row["return_mean"]) >= 0 for row in rows)


def _summary(env, method, score=None, returns=None):
    found = {"normalized_score": score, "return_mean": returns}
    shared = dict(env=env, algo=method, source="file", dataset=env, settings=method)
    lists = {n: v and {"per_seed": v} for n, v in found.items()}
    return shared | {"seeds": [0, 1], "behavior_return": -300.0} | lists


def test_returns_and_scores_are_not_averaged(place):
    own, hopper = str(place()), "hopper-medium-v2"
    summaries = {
        (own, "bc"): _summary("my-point", "bc", returns=[-200.0, -100.0]),
        (hopper, "bc"): _summary(hopper, "bc", [10.0, 20.0], [300.0, 600.0]),
        ("navigation-v0", "bc"): _summary("navigation-v0", "bc", [30.0, 40.0]),
        (own, "iql"): _summary("my-point", "iql"),  # not evaluated
    }
    names = [own, hopper, "navigation-v0"]
    by_task, _, by_suite = tables.format_tables(summaries, names, ["bc", "iql"]).split(
        "\n\n"
    )
    rows = {line.split("|")[1].strip(): line for line in by_task.splitlines()}
    assert "-300.0" in rows["my-point (return)"] and "-150.0 ± 70.7" in by_task
    assert "| 25.0 " in rows["mean"]  # of 15 and 35
    head, _, bc, iql = by_suite.splitlines()
    assert "my-point (return), IQM" in head and "-150.0 [" in bc
    assert set(iql.replace(" ", "").strip("|").split("|")[1:]) == {"-"}


def test_tasks_of_one_name_and_other_contents_do_not_compare():
    runs, summaries = [], []
    for seed, horizon in enumerate((5, 6)):
        record = {"env": "my-point", "algo": "bc", "source": "file", "seeds": [seed]}
        record["task"] = {"name": "my-point", "horizon": horizon}
        runs.append(reevaluation.TrainedRun(record, ()))
        summary = _summary("my-point", f"bc{seed}", returns=[1.0, 2.0])
        summaries.append(summary | {"task": record["task"]})
    for refuse in (
        lambda: reevaluation.require_one_task(runs),
        lambda: score_table.format_table(summaries, {}),
    ):
        with pytest.raises(errors.UserError, match="different tasks named my-point"):
            refuse()


def test_a_folder_from_before_a_key_of_its_task_compares_with_newer_ones(tmp_path):
    task = data.Task(name="mine", observation_size=3, action_size=2, horizon=5)
    newer = task_file.fields(task)
    older = {name: value for name, value in newer.items() if name != "scored_by"}
    other = newer | {"scored_by": "success"}
    records, folders = [], []
    for seed, own in enumerate((older, newer, other)):
        shared = {"env": "mine", "task": own, "algo": "bc", "seeds": [seed]}
        record = {**shared, "source": "file", "format": rundir.FORMAT}
        records.append({**record, "identity": shared})
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        rundir.write_json(folders[-1] / rundir.CONFIG, records[-1])
        summary = _summary("mine", "bc", returns=[float(seed)]) | {"seeds": [seed]}
        rundir.write_json(folders[-1] / rundir.SUMMARY, summary | {"steps": 3})
    runs = [reevaluation.TrainedRun(record, ()) for record in records]
    reevaluation.require_one_task(runs[:2])
    summaries = score_table.read_summaries(folders)
    assert "0.5 ± 0.7 (2)" in score_table.format_table(summaries[:2], {})
    # A hash of before the key names the same settings still.
    text = json.dumps({"env": "mine", "task": older, "algo": "bc"}, sort_keys=True)
    assert summaries[0]["settings"] == hashlib.sha256(text.encode()).hexdigest()[:12]
    for refuse in (
        lambda: reevaluation.require_one_task(runs[1:]),
        lambda: score_table.format_table(summaries[1:], {}),
    ):
        with pytest.raises(errors.UserError, match="different tasks named mine"):
            refuse()


def test_a_study_of_ones_own_task(place):
    row = {"env": "my-point", "normalized_score": "", "env_steps_per_second": "9"}
    rows = {
        "baseline": [row | {"returns": "-3.0 -5.0"}, row | {"returns": "-6.0 -6.0"}]
    }
    task = data.read_task(place())
    table = study_report.format_table(rows, {"my-point": task})
    assert "my-point (return), IQM" in table and "| -5.0 " in table


def test_a_sweep_of_ones_own_task(place):
    task = data.read_task(place())
    row = {"env": "my-point", "normalized_score": "", "returns": "-4.0 -2.0 0.0 2.0"}
    other = row | {"returns": "0.0 2.0 4.0 6.0"}
    results = [
        sweep_report.Result(setting, [cells], [()], [], task)
        for setting, cells in (({}, row), ({"kappa": 2.0}, other))
    ]
    text = sweep_report.format_results(results)
    assert "the run's own knobs: return -1.0 +- 0.0" in text
    assert "kappa=2.0: return 3.0" in text
    assert "best by half of the episodes: kappa=2.0" in text


def test_local_sets_are_those_of_the_table(run, place, tmp_path):
    path = place()
    result = run("dataset_table", f"--envs={path}", f"--output={tmp_path / 'a.csv'}")
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert f"{path} is a task of your own" in line and "hopper-medium-v2" in line
    assert not (tmp_path / "a.csv").exists()
