"""A grid of methods and tasks, trained by one command."""

import csv
import json

import d4rl_files
import numpy as np
import pytest

from experiments.benchmark import five_tasks, groups, seeds, status, tables
from gem_jax import errors
from gem_jax.runs import resolve, runner
from gem_jax.training import rundir
from gem_jax.utils import locks


def summary(env, method, scores):
    return {
        "env": env,
        "algo": method,
        "source": "local",
        "dataset": f"of {env}",
        "settings": method,
        "seeds": list(range(len(scores))),
        "normalized_score": {"per_seed": scores},
    }


def test_tables_by_hand():
    scores = {
        ("hopper-medium-v2", "bc"): [10.0, 20.0],
        ("hopper-medium-v2", "iql"): [50.0, 50.0],
        ("walker2d-medium-v2", "bc"): [30.0, 40.0],
    }
    summaries = {pair: summary(*pair, values) for pair, values in scores.items()}
    names = ["hopper-medium-v2", "walker2d-medium-v2"]
    by_task, explanation, by_suite = tables.format_tables(
        summaries, names, ["bc", "iql"]
    ).split("\n\n")
    assert "| hopper-medium-v2" in by_task and "15.0 ± 7.1 (2)" in by_task
    assert "ddof = 1" in explanation
    rows = by_suite.splitlines()
    assert "locomotion, IQM [95 %]" in rows[0]
    assert "25.0 [" in rows[2]  # of 20 and 30, the middle half
    assert "| -" in rows[3]  # one of two tasks makes no suite
    fewer = summaries | {(names[1], "iql"): summary(names[1], "iql", [40.0])}
    last = tables.format_tables(fewer, names, ["bc", "iql"]).splitlines()[-1]
    assert "| -" in last  # nor do tasks of other numbers of seeds
    alone = {("hopper-medium-v2", "iql"): summary("hopper-medium-v2", "iql", [50.0])}
    found = tables.format_tables(alone, names[:1], ["iql"]).split("\n\n")[2]
    assert "50.0" in found and "[50.0" not in found


def test_departures_by_hand():
    changed = {
        ("hopper-medium-v2", "iql"): {"polyak": ("0.01", "0.005")},
        ("hopper-medium-v2", "bc"): {"num_steps": ("3", "1,000,000")},
        ("walker2d-medium-v2", "bc"): {"num_steps": ("3", "1,000,000")},
        ("walker2d-medium-v2", "iql"): {},
    }
    title, table = tables.format_departures(changed, ["bc", "iql"]).split("\n\n")
    assert title == "## Settings that differ from `paper`"
    rows = [[c.strip() for c in row.split("|")[1:-1]] for row in table.splitlines()]
    assert rows[2:] == [
        ["bc", "num_steps", "3", "1,000,000", "all"],
        ["iql", "polyak", "0.01", "0.005", "hopper-medium-v2"],
    ]
    assert tables.format_departures({}, ["bc"]).endswith("None.")


def test_five_tasks_by_hand():
    name = "cube-single-play-v0"
    five = [f"cube-single-play-singletask-task{i}-v0" for i in (1, 2, 3, 4, 5)]
    others = ["navigation-v0", five[3]]
    assert groups.expand([name, *others]) == [*five, "navigation-v0"]
    scores = dict(zip(five, ([0, 20], [10, 30], [20, 40], [30, 50], [40, 60])))
    summaries = {(x, "bc"): summary(x, "bc", values) for x, values in scores.items()}
    summaries |= {(five[0], "iql"): summary(five[0], "iql", [90.0, 90.0])}
    found = five_tasks.format_table(summaries, [*five, "navigation-v0"], ["bc", "iql"])
    (head, _, line) = found.splitlines()
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    assert "| bc, published" in head and cells[3:] == ["5 ± 1", "83 ± 3"]
    assert cells[0] == name and cells[2] == "-"  # means of 20 and 40
    assert cells[1].startswith("30.0 ± 14.1")
    assert five_tasks.format_table(summaries, five[1:], ["bc"]) == ""
    fewer = summaries | {(five[2], "bc"): summary(five[2], "bc", [20])}
    line = five_tasks.format_table(fewer, five, ["bc"]).splitlines()[2]
    assert [cell.strip() for cell in line.strip("|").split("|")][1] == "-"
    noisy = groups.expand(["cube-single-noisy-v0"])  # of which nothing is published
    assert "published" not in five_tasks.format_table(summaries, noisy, ["bc"])


def test_a_grid_is_trained_once(run, tmp_path):
    output = tmp_path / "grid"
    flags = (
        *("--methods=10%bc,bc", "--envs=navigation-v0", "--preset=smoke"),
        *("--steps=3", "--num_seeds=2", f"--output={output}"),
    )
    first = run("benchmark", *flags)
    assert first.returncode == 0, first.stderr
    line = "num_steps: 3 (paper: 1,000,000); num_transitions: 20,000 (paper: default)"
    assert f"differs from paper: {line}\n" in first.stdout
    text = (output / "table.md").read_text()
    assert text in first.stdout and "IQM" in text
    assert "| bc         | num_steps       | 3      | 1,000,000 | all     |" in text
    assert "best_share" not in text  # what percent_bc is, is no departure
    rows = list(csv.DictReader((output / "scores.csv").open()))
    assert [row["method"] for row in rows] == ["percent_bc"] * 2 + ["bc"] * 2
    assert np.isfinite([float(row["normalized_score"]) for row in rows]).all()
    config = output / "navigation-v0" / "percent_bc" / "config.json"
    assert json.loads(config.read_text())["data"]["best_share"] == 0.1
    again = run("benchmark", *flags)
    assert again.stdout.count("is complete; nothing to do") == 2
    assert (output / "scores.csv").read_text().count("\n") == 5
    cells = list(csv.DictReader((output / "table.csv").open()))
    assert [(c["method"], c["num_seeds"]) for c in cells] == [
        ("percent_bc", "2"),
        ("bc", "2"),
    ]
    mean = np.mean([float(row["normalized_score"]) for row in rows[2:]])
    np.testing.assert_allclose(float(cells[1]["mean"]), mean)
    # A third seed joins those that are there, in the tables too.
    more = (*flags[1:], "--methods=bc", "--num_seeds=3")
    grown = run("benchmark", *more)
    assert grown.returncode == 0, grown.stderr
    assert grown.stdout.count("is complete; nothing to do") == 1
    there = {row["seed"]: row for row in rows[2:]}
    rows = list(csv.DictReader((output / "scores.csv").open()))
    assert [row["seed"] for row in rows] == ["0", "1", "0", "1", "2"]
    assert rows[2:4] == list(there.values())
    (cell,) = csv.DictReader((output / "table.csv").open())
    scores = [float(row["normalized_score"]) for row in rows[2:]]
    np.testing.assert_allclose(float(cell["mean"]), np.mean(scores))
    np.testing.assert_allclose(float(cell["std"]), np.std(scores, ddof=1))
    assert "(3)" in (output / "table.md").read_text()
    more = run("benchmark", *flags[1:], "--methods=bc,iql", "--status").stdout
    assert "navigation-v0, bc: complete, " in more
    assert "navigation-v0, iql: not begun" in more


def test_seeds_are_trained_where_they_lack(tmp_path):
    pair = tmp_path / "bc"
    assert seeds.runs(pair, range(2)) == {pair: [0, 1]}

    def trained(folder, own):
        folder.mkdir()
        rundir.write_json(folder / rundir.CONFIG, {"seeds": own})

    trained(pair, [0, 1])
    assert seeds.runs(pair, range(1)) == {pair: [0, 1]}  # a run keeps its seeds
    later = tmp_path / "bc+seed4"
    trained(later, [4])
    trained(tmp_path / "bc10+seed2", [2])
    found = seeds.runs(pair, range(1, 7))
    between, beyond = tmp_path / "bc+seed2", tmp_path / "bc+seed5"
    assert found == {pair: [0, 1], later: [4], between: [2, 3], beyond: [5, 6]}
    assert list(found) == [pair, between, later, beyond]
    assert seeds.runs(pair, range(8, 9)) == {tmp_path / "bc+seed8": [8]}
    # What a damaged record lacks is for the training to say.
    (later / rundir.CONFIG).write_text("{")
    assert seeds.runs(pair, range(4, 6)) == {later: [4, 5]}


def test_seeds_of_several_runs_are_one_summary():
    parts = [summary("hopper-medium-v2", "bc", [10.0, 20.0]) for _ in range(2)]
    parts[1]["seeds"] = [3, 2]
    for part in parts:
        part["wall_seconds"] = 5.0
    found = seeds.merged(parts, range(1, 5))  # of which 4 failed
    assert (found["seeds"], found["wall_seconds"]) == ([1, 2, 3], 10.0)
    assert found["normalized_score"]["per_seed"] == [20.0, 20.0, 10.0]


def test_what_is_said_of_a_run_that_is_not_complete(tmp_path):
    assert status.of(tmp_path / "nowhere") == status.of(tmp_path) == "not begun"
    rundir.write_json(tmp_path / rundir.CONFIG, {})
    assert status.of(tmp_path) == "begun"
    rows = [{"step": step, "phase": "policy"} for step in (1_000, 2_000)]
    rundir.append_lines(tmp_path / rundir.METRICS, rows)
    rundir.append_text(tmp_path / rundir.METRICS, '{"step": 3000, "ph')  # killed here
    interrupted = "at step 2,000, phase policy"
    assert status.of(tmp_path) == interrupted
    status.note_failure(tmp_path, RuntimeError("out of memory:\n  3 GB"))
    assert status.of(tmp_path) == f"{interrupted}; failed: out of memory: 3 GB"
    status.note_failure(tmp_path, errors.UserError("give another --workdir"))
    assert status.of(tmp_path) == f"{interrupted}; failed: give another --output"
    status.note_failure(tmp_path, RuntimeError("page " * 999))
    assert len(status.of(tmp_path)) < 500


def test_a_failure_is_forgotten_by_whoever_trains_next_and_noted_of_no_other(
    tmp_path, monkeypatch
):
    run = resolve.resolve("navigation-v0", "bc", "smoke", workdir=tmp_path)
    failure = tmp_path / rundir.FAILURE
    status.note_failure(tmp_path, RuntimeError("before"))
    with (
        locks.claim(tmp_path / ".lock", "this test"),
        pytest.raises(locks.Busy, match="another process") as caught,
    ):
        runner.train(run)
    status.note_failure(tmp_path, caught.value)
    assert failure.read_text() == "before\n"
    seen = []
    monkeypatch.setattr(runner, "_train", lambda *_: seen.append(failure.exists()))
    runner.train(run)
    assert seen == [False]


def test_a_folder_of_its_former_name_is_percent_bc_s(run, tmp_path):
    settings = ("--preset=smoke", "--steps=3", "--num_seeds=1")
    former = tmp_path / "navigation-v0" / "10_percent_bc"
    run(
        "train",
        *("--algo=bc", "--env=navigation-v0", "--best_share=0.1", *settings),
        f"--workdir={former}",
    )
    scores = tmp_path / "scores.csv"
    scores.write_text(
        "env,method,seed,steps,normalized_score,return_mean\n"
        "navigation-v0,10%bc,0,3,1.0,1.0\nnavigation-v0,bc,0,3,1.0,1.0\n"
    )
    result = run(
        "benchmark",
        *("--methods=percent_bc", "--envs=navigation-v0", *settings),
        f"--output={tmp_path}",
    )
    assert f"{former} is complete; nothing to do" in result.stdout, result.stderr
    assert not former.with_name("percent_bc").exists()
    assert "best_share" not in (tmp_path / "table.md").read_text()
    methods = [row["method"] for row in csv.DictReader(scores.open())]
    assert methods == ["percent_bc", "bc"]  # one row, not one a name


def test_names_of_several_tasks():
    assert groups.expand(["maze2d", "maze2d-large-v1"]) == [
        *("maze2d-umaze-v1", "maze2d-medium-v1", "maze2d-large-v1")
    ]
    assert len(groups.expand(["antmaze"])) == 6
    assert len(groups.expand(["all"])) == 18
    assert groups.expand(["bc"]) == ["bc"]  # whoever looks it up refuses it


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "give --methods=NAME"),
        (["--methods=bc"], "give --envs=NAME"),
        (["--methods=bc,bc", "--envs=navigation-v0"], "names one twice"),
        (["--methods=10%bc,percent_bc", "--envs=navigation-v0"], "names one twice"),
        (["--methods=nobody", "--envs=navigation-v0"], "unknown --algo='nobody'"),
        (["--methods=bc", "--envs=hoper-medium-v2"], "did you mean"),
    ],
)
def test_what_is_refused(run, flags, named):
    result = run("benchmark", *flags)
    assert result.returncode == 2 and named in result.stderr


def test_the_best_tenth_of_rewards_that_are_nan_is_one_line(run, tmp_path):
    rewards = np.where(np.arange(10) == 7, np.nan, 1.0)
    d4rl_files.write(tmp_path / "a.hdf5", "maze2d-umaze-v1", rewards=rewards)
    result = run(
        "benchmark",
        *("--methods=10%bc", "--envs=maze2d-umaze-v1", "--num_seeds=1"),
        *(f"--source=file:{tmp_path / 'a.hdf5'}", f"--output={tmp_path}"),
    )
    (line,) = result.stderr.splitlines()
    assert result.returncode == 2 and "percent_bc:" in line
    assert "rewards[2] is NaN or infinite" in line


def test_what_cannot_be_trained_is_named_and_the_others_go_on(run, tmp_path):
    """A dataset of navigation is none of the maze's."""
    result = run(
        "benchmark",
        *("--methods=bc", "--envs=maze2d-umaze-v1,navigation-v0", "--preset=smoke"),
        *("--steps=3", "--num_seeds=1", "--seed=5", f"--output={tmp_path}"),
        "--source=minari:gem-jax/navigation-v0/local-s0-n20000-v1",
    )
    assert result.returncode == 2
    assert "not trained: maze2d-umaze-v1, bc:" in result.stderr
    (row,) = csv.DictReader((tmp_path / "scores.csv").open())
    assert (row["env"], row["seed"], row["steps"]) == ("navigation-v0", "5", "3")
    said = status.of(tmp_path / "maze2d-umaze-v1" / "bc")
    assert said.startswith("not begun; failed: ") and said[19:] in result.stderr
    # Another method's rows join those that are there.
    more = run(
        "benchmark",
        *("--methods=percent_bc", "--envs=navigation-v0", "--preset=smoke"),
        "--steps=3",
        *("--num_seeds=1", f"--output={tmp_path}"),
    )
    assert more.returncode == 0, more.stderr
    methods = [r["method"] for r in csv.DictReader((tmp_path / "scores.csv").open())]
    assert methods == ["bc", "percent_bc"]
