"""Trained runs, loaded and played again."""

import csv
import dataclasses
import itertools
import signal

import jax
import numpy as np
import pytest

import gem_jax
from experiments.lib import intervals, reevaluation
from experiments.sweep import figures as sweep_figures
from experiments.sweep import report as sweep_report
from gem_jax import errors, inference
from gem_jax.data import tasks
from gem_jax.training import rundir


@pytest.fixture(scope="module")
def policy(finished):
    return gem_jax.load(finished)


@pytest.fixture(scope="module")
def loaded(finished):
    return reevaluation.load(finished)


def test_load_gives_a_policy_that_acts(finished):
    policy = gem_jax.load(finished, seed=1)
    assert policy.step == 120
    observations = np.array([[1.0, 1.0, 0.0, 0.0], [3.0, 1.0, 0.5, 0.0]])
    output = policy.act(jax.random.key(0), observations, np.zeros(2, int))
    assert output.action.shape == (2, 2)
    again = gem_jax.load(finished, step=120, seed=1)
    np.testing.assert_array_equal(
        output.action, again.act(jax.random.key(0), observations, np.zeros(2)).action
    )
    anchor = policy.with_knobs(num_candidates=0)
    assert anchor.act(jax.random.key(0), observations, np.zeros(2)).action.shape == (
        2,
        2,
    )


def test_all_seeds_of_a_run_share_their_programs(finished, loaded):
    seen = jax.random.key(0), np.ones((2, 4)), np.zeros(2)
    one, other = loaded.policies
    first = np.asarray(one.act(*seen).action)
    compiled = one.batched._cache_size()
    second = np.asarray(other.act(*seen).action)
    assert (first != second).any()
    for place, action in enumerate((first, second)):
        alone = gem_jax.load(finished, seed=place)
        np.testing.assert_array_equal(action, alone.act(*seen).action)
    assert other.batched is one.batched and one.batched._cache_size() == compiled


def test_other_numbers_in_the_knobs_do_not_recompile(policy):
    inputs = jax.random.key(0), np.ones((2, 4)), np.zeros(2)
    policy.act(*inputs)
    before = policy.batched._cache_size()
    policy.with_knobs(kappa=7.0, lambda_start=0.5, support_cap=0.0).act(*inputs)
    assert policy.batched._cache_size() == before


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_candidates": -1}, "num_candidates must be at least 0"),
        ({"top_m": 9}, "top_m must be between 1 and the 5"),
        ({"kappa": -1.0}, "kappa must be at least 0"),
        ({"lambda_start": -1.0}, "lambda_start must be at least 0"),
        ({"support_cap": float("nan")}, "support_cap must be a number"),
        ({"temprature": 1.0}, "no knob temprature"),
    ],
)
def test_bad_knobs_are_refused(policy, changes, named):
    with pytest.raises(errors.UserError, match=named):
        policy.with_knobs(**changes)


def test_a_new_lambda_keeps_to_the_runs_schedule(loaded):
    run = loaded.with_knobs({"lambda_schedule": "decay"})
    constant = run.with_knobs({"lambda_schedule": "constant"})

    def ends(run=run, **changes):
        return run.with_knobs(changes).policies[0].knobs.lambda_ends

    assert ends(lambda_end=0.3) == (1.0, 0.3)
    assert ends(constant, lambda_end=0.3) == (0.3, 0.3)
    assert ends(lambda_end=0.3, lambda_schedule="rise") == (0.0, 0.3)
    assert ends(constant, lambda_end=0.3, lambda_schedule="decay") == (1.0, 0.3)
    assert ends(lambda_start=0.5, lambda_end=0.3) == (0.5, 0.3)
    with pytest.raises(errors.UserError, match="lambda_schedule must be one of"):
        ends(lambda_schedule="up")


def test_bad_loads_and_observations_are_refused(policy, finished, tmp_path):
    with pytest.raises(errors.UserError, match="is it a run folder"):
        gem_jax.load(tmp_path)
    (tmp_path / "config.json").write_text('{"algo": "gem", "format": 3}')
    with pytest.raises(errors.UserError, match="does not describe a run"):
        gem_jax.load(tmp_path)
    with pytest.raises(errors.UserError, match="does not describe a run"):
        reevaluation.load(tmp_path, proposer=finished)
    older = '{"algo": "gem", "versions": {"gem_jax": "0.1.0"}}'
    (tmp_path / "config.json").write_text(older)
    with pytest.raises(errors.UserError, match=r"a run of gem_jax 0.1.0, .*format 1"):
        gem_jax.load(tmp_path)
    with pytest.raises(errors.UserError, match="holds 2 seed"):
        gem_jax.load(finished, seed=2)
    with pytest.raises(errors.UserError, match="no checkpoint of step 7"):
        gem_jax.load(finished, step=7)
    with pytest.raises(ValueError, match=r"observation must be \[B, 4\]"):
        policy.act(jax.random.key(0), np.zeros((2, 5)), np.zeros(2))


def test_evaluate_repeats_the_runs_own_numbers(run, finished, tmp_path):
    output = tmp_path / "rows.jsonl"
    result = run(
        "evaluate",
        f"--workdir={finished}",
        "--episodes=4",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    last = [r for r in rundir.read_lines(finished / "eval.jsonl") if r["step"] == 120]
    got = rundir.read_lines(output)
    assert [r["return_mean"] for r in got] == [r["return_mean"] for r in last]
    changed = run("evaluate", f"--workdir={finished}", "--episodes=2", "--kappa=-1")
    assert changed.returncode == 2
    assert "kappa must be at least 0" in changed.stderr
    nowhere = run("evaluate", f"--workdir={finished}", f"--output={tmp_path}")
    assert nowhere.returncode == 2 and "is a folder; name a file" in nowhere.stderr


def test_sweep_continues_its_table_and_repeats_the_runs_own_numbers(
    run, fork, finished, tmp_path
):
    table = tmp_path / "table.csv"
    grid = ["--num_candidates=0,4", "--kappa=1,2", "--ablations", "--episodes=4"]
    flags = [f"--workdir={finished}", f"--output={table}", *grid]
    begun = fork("sweep", *flags)
    begun.wait_until(lambda: table.exists() and table.read_text().count("\n") > 2)
    begun.send_signal(signal.SIGKILL)
    begun.finish()
    lines = table.read_text().splitlines()
    table.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])  # half-written

    whole = run("sweep", *flags)
    assert whole.returncode == 0, whole.stderr
    kept = table.read_text().splitlines()
    # Header; the grid, with the run's own (N = 4, kappa = 1) in it, and the ablations,
    # each for both seeds.
    assert len(lines) < len(kept) == 1 + (2 * 2 + 7) * 2
    last = len(lines) - 1
    assert kept[:last] == lines[:last]

    def but_the_rate(line):
        return line.rsplit(",", 2)[::2]

    assert but_the_rate(kept[last]) == but_the_rate(lines[last])
    assert whole.stdout.count("the run's own knobs: score") == 1
    assert "best by half of the episodes" in whole.stdout
    for name in ("num_candidates", "kappa", "ablations"):
        assert table.with_name(f"table_{name}.png").exists()
    with table.open() as file:
        rows = list(csv.DictReader(file))
    own = rows[:2]
    assert [r["returns"].count(" ") for r in own] == [3, 3]
    rows = rundir.read_lines(finished / "eval.jsonl")
    last = [row for row in rows if row["step"] == 120]
    scores = [float(row["normalized_score"]) for row in own]
    assert scores == [row["normalized_score"] for row in last]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "nothing to sweep"),
        (["--kappa=1", "--workdir={finished},{finished}"], "two runs share a seed"),
        (["--kappa=1,high"], "--kappa takes numbers"),
        (["--kappa=1", "--chunk_size=-1"], "chunk_size must be at least 0"),
        (["--num_candidates=1,-2"], "num_candidates must be at least 0"),
        (["--kappa=1", "--output=README.md"], "not a table of this program"),
    ],
)
def test_sweep_refuses_bad_lists_before_playing(run, finished, flags, named):
    flags = [flag.format(finished=finished) for flag in flags]
    result = run("sweep", f"--workdir={finished}", *flags)
    assert result.returncode == 2, result.stderr
    assert named in result.stderr


def test_more_candidates_than_fit_are_refused_before_any_is_made(loaded):
    settings = {}, {"num_candidates": 10**12}
    with pytest.raises(errors.UserError, match="num_candidates=1000000000000 for 128"):
        next(reevaluation.evaluate([loaded.with_knobs(each) for each in settings], 1))


def test_each_number_of_candidates_is_compiled_once(loaded):
    traces = []
    algorithm = loaded.policies[0].algorithm

    def act(*inputs):
        traces.append(inputs)
        return algorithm.act(*inputs)

    counted = [
        dataclasses.replace(policy, algorithm=algorithm._replace(act=act))
        for policy in loaded.policies
    ]
    short = dataclasses.replace(loaded.task, horizon=10)
    runs = [
        reevaluation.TrainedRun(
            loaded.record | {"seeds": seeds}, tuple(counted), other_task=short
        )
        for seeds in ([0, 1], [7, 8])
    ]
    grid = [
        {"num_candidates": n, "kappa": kappa, "lambda_end": end}
        for n in (1, 2)
        for kappa in (0.0, 2.0)
        for end in (0.5, 3.0)
    ]
    changed = [run.with_knobs(setting) for run in runs for setting in grid]
    rows = reevaluation.evaluate(changed, 1)
    for _ in runs:  # the second needs nothing that the first has not
        assert len(list(itertools.islice(rows, len(grid)))) == len(grid)
        assert len(traces) == 2
    assert next(rows, None) is None


def _result(setting, returns, **cells):
    base = {"env": "maze2d-umaze-v1", "algo": "gem", "source": "local"}
    rows = [base | {"returns": " ".join(map(str, seed)), **cells} for seed in returns]
    names = [name for name in cells if name != "normalized_score"]
    return sweep_report.Result(
        setting, rows, [inference.Knobs(**setting)], names, tasks.get(base["env"])
    )


def test_figures_take_the_settings_whose_knobs_are_the_runs_own(tmp_path):
    cells = dict.fromkeys(
        ("normalized_score", "support_z", "violation_rate", "collapse_dist"), "1"
    )
    settings = [
        {},
        {"num_candidates": 8, "kappa": 1.0},  # its own kappa
        {"num_candidates": 64, "kappa": 2.0},
        {"lambda_start": 0.0, "lambda_end": 0.0, "kappa": 2.0},
        {"kappa": 0.0},  # an ablation
    ]
    results = [_result(setting, [[10.0, 20.0]], **cells) for setting in settings]
    table = tmp_path / "table.csv"
    ablations = {"no_lcb": {"kappa": 0.0}, "no_anchor": {"anchor": "none"}}
    drawn = [path.name for path in sweep_figures.draw(results, table, ablations)]
    # Of kappa there is 0 too; both other values differ in other knobs beside.
    assert drawn == [f"table_{n}.png" for n in ("num_candidates", "kappa", "ablations")]
    assert all((tmp_path / name).stat().st_size > 0 for name in drawn)
    assert sweep_figures.draw(results[:1], table, ablations) == []


def test_the_best_setting_is_chosen_and_reported_by_different_episodes():
    high, low = 161.86, 23.85  # scores 100 and 0
    lucky = [high] * 4 + [low] * 4
    cells = dict.fromkeys(
        ("normalized_score", "support_z", "violation_rate", "collapse_dist"), "1"
    )
    own = _result({}, [[low] * 4 + [high] * 4] * 2, **cells)
    other = _result({"kappa": 2.0}, [lucky] * 2, **cells)
    last = sweep_report.format_results([own, other]).splitlines()[-1]
    assert "half of the episodes: kappa=2.0; by the other half: IQM 0.0" in last
    assert last.endswith("own knobs: IQM 100.0 [100.0, 100.0]")


def test_iqm_and_its_interval():
    scores = np.arange(8.0).reshape(2, 4)
    assert intervals.iqm(scores) == 3.5
    assert intervals.iqm(np.array([[0.0, 1.0, 2.0, 1000.0]])) == 1.5
    draws = np.random.default_rng(0).normal(5.0, 1.0, (2, 200))
    low, high = intervals.bootstrap(draws, np.mean)
    assert low < draws.mean() < high
    assert high - low == pytest.approx(2 * 1.96 / 400**0.5, rel=0.2)
    # Seeds are strata: how far they lie apart does not widen the interval.
    apart = draws + np.array([[-100.0], [100.0]])
    low, high = intervals.bootstrap(apart, np.mean)
    assert high - low == pytest.approx(2 * 1.96 / 400**0.5, rel=0.2)
    assert intervals.bootstrap(apart[:, :1], np.mean) == (apart[:, 0].mean(),) * 2


def test_runs_of_two_tasks_are_refused():
    def trained(env):
        record = {"env": env, "algo": "gem", "source": "local", "seeds": [0]}
        return reevaluation.TrainedRun(record, ())

    with pytest.raises(errors.UserError, match="differ in env: a, b"):
        reevaluation.require_one_task([trained("a"), trained("b")])


def test_candidates_without_finite_numbers_are_told_of(capsys):
    bad = {"seed": 3, "bad_candidates": 0.25, "bad_set": 0.125}
    fine = {"seed": 4, "bad_candidates": 0.0, "bad_set": 0.0}
    none = {"seed": 5, "bad_candidates": None, "bad_set": None}
    reevaluation._warn_of_bad([bad, fine, none])
    (line,) = capsys.readouterr().out.splitlines()
    assert "seed 3: 25.00% of the candidates" in line and "in 12.50% of" in line
