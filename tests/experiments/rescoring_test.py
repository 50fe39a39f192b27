"""Trained runs, loaded and played again."""

import csv

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gem_jax
from gem_jax import errors
from gem_jax.training import rundir


def test_load_gives_a_policy_that_acts(finished):
    policy = gem_jax.load(finished, seed=1)
    assert policy.step == 120
    observations = jnp.array([[1.0, 1.0, 0.0, 0.0], [3.0, 1.0, 0.5, 0.0]])
    output = policy.act(jax.random.key(0), observations, jnp.zeros(2, jnp.int32))
    assert output.action.shape == (2, 2)
    again = gem_jax.load(finished, step=120, seed=1)
    np.testing.assert_array_equal(
        output.action, again.act(jax.random.key(0), observations, jnp.zeros(2)).action
    )
    anchor = policy.with_knobs(num_candidates=0)
    assert anchor.act(jax.random.key(0), observations, jnp.zeros(2)).action.shape == (
        2,
        2,
    )


def test_other_numbers_in_the_knobs_do_not_recompile(finished):
    policy = gem_jax.load(finished)
    inputs = jax.random.key(0), jnp.ones((2, 4)), jnp.zeros(2)
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
def test_bad_knobs_are_refused(finished, changes, named):
    with pytest.raises(errors.UserError, match=named):
        gem_jax.load(finished).with_knobs(**changes)


def test_bad_loads_and_observations_are_refused(finished, tmp_path):
    with pytest.raises(errors.UserError, match="is --workdir a run folder"):
        gem_jax.load(tmp_path)
    (tmp_path / "config.json").write_text('{"algo": "gem"}')
    with pytest.raises(errors.UserError, match="does not describe a run"):
        gem_jax.load(tmp_path)
    with pytest.raises(errors.UserError, match="holds 2 seed"):
        gem_jax.load(finished, seed=2)
    with pytest.raises(errors.UserError, match="no checkpoint of step 7"):
        gem_jax.load(finished, step=7)
    with pytest.raises(ValueError, match=r"observation must be \[B, 4\]"):
        gem_jax.load(finished).act(jax.random.key(0), jnp.zeros((2, 5)), jnp.zeros(2))


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


def test_sweep_continues_its_table_and_repeats_the_runs_own_numbers(
    run, finished, tmp_path
):
    table = tmp_path / "table.csv"
    grid = ["--num_candidates=0,4", "--kappa=0,1", "--episodes=4"]
    common = [f"--workdir={finished}", f"--output={table}"]
    whole = run("sweep", *common, *grid)
    assert whole.returncode == 0, whole.stderr
    lines = table.read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2  # header; N, kappa, seed
    with table.open() as file:
        rows = list(csv.DictReader(file))
    own = [r for r in rows if r["num_candidates"] == "4" and r["kappa"] == "1.0"]
    last = [r for r in rundir.read_lines(finished / "eval.jsonl") if r["step"] == 120]
    scores = [float(row["normalized_score"]) for row in own]
    assert scores == [row["normalized_score"] for row in last]

    table.write_text("\n".join(lines[:-1]) + "\n" + lines[-1][:20])  # interrupted
    again = run("sweep", *common, *grid)
    assert again.returncode == 0, again.stderr
    kept = table.read_text().splitlines()
    assert kept[:-1] == lines[:-1]

    def but_the_rate(line):
        return line.rsplit(",", 1)[0]

    assert [*map(but_the_rate, kept)] == [*map(but_the_rate, lines)]


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        ([], "nothing to sweep"),
        (["--kappa=1,high"], "--kappa takes numbers"),
        (["--num_candidates=1,-2"], "num_candidates must be at least 0"),
        (["--kappa=1", "--output=README.md"], "not a table of this program"),
    ],
)
def test_sweep_refuses_bad_lists_before_playing(run, finished, flags, named):
    result = run("sweep", f"--workdir={finished}", *flags)
    assert result.returncode == 2, result.stderr
    assert named in result.stderr
