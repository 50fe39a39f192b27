"""A task of one's own from file to table: runs, evaluations, refusals."""

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import strange_envs
from strange_envs import ENVIRONMENT, HIGH, HORIZON, LOW

from experiments.lib import reevaluation
from experiments.table import scores as score_table
from gem_jax import algorithms, data, errors
from gem_jax.runs import presets, resolve, runner
from gem_jax.testing import fakes
from gem_jax.training import evaluation, rundir
from gem_jax.types import ActOutput, EnvSpec

CONFIG = dict(hidden_sizes=(4,), num_steps=6, batch_size=8)


def train(path, workdir, **changes):
    """The lines of a run of behavior cloning."""
    lines = []
    run = resolve.resolve(
        str(path), "bc", "smoke", workdir=workdir, config=CONFIG | changes
    )
    runner.train(run, log=lines.append, show_progress=False)
    return lines


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


# The evaluator


UNIT = jnp.array([0.5, 0.25])


def steady():
    """Always acts alike, and tells the sum of what it executed before."""
    spec = EnvSpec(3, 2, HORIZON, action_low=LOW, action_high=HIGH)

    def act(params, key, observation, t, knobs, memory):
        del params, key, observation, t, knobs
        return ActOutput(UNIT, {"executed": memory.sum()})

    def observe(params, key, memory, observation, last_action, *_):
        return memory + last_action

    return fakes.acts_by(act, spec)._replace(
        init_memory=lambda params, knobs: jnp.zeros(2), observe=observe
    ), fakes.policy_params((), spec)


def task_with(**kwargs):
    return data.Task(
        name="my-point",
        env_id="strange_envs:Point-v0",
        env_kwargs=kwargs,
        observation_size=3,
        action_size=2,
        action_low=LOW,
        action_high=HIGH,
        horizon=HORIZON,
    )


def test_episodes_are_those_of_the_environment_stepped_by_hand(key):
    """In raw units, of floats, with whole rewards, to the task's horizon."""
    algorithm, params = steady()
    task = task_with(delay=0.01)
    with evaluation.make_evaluator(task, algorithm) as evaluate:
        [result] = evaluate(params, key, [()], 3)
    base_seed = int(jax.random.bits(jax.random.split(key)[0], dtype=jnp.uint32))
    expected, successes = [], []
    for episode in range(3):
        env = strange_envs.PointEnv()
        env.reset(seed=evaluation._reset_seed(base_seed, episode))
        raw = np.float32([-2.0 + 0.75 * 6.0, 0.625])
        rewards = [env.step(raw)[1] for _ in range(HORIZON)]
        expected.append(sum(rewards))
        successes.append(any(rewards))
    assert 0 < sum(expected)
    np.testing.assert_array_equal(result.returns, expected)
    np.testing.assert_array_equal(result.successes, successes)
    np.testing.assert_array_equal(result.lengths, [HORIZON] * 3)
    # Before step t, t actions of 0.5 and 0.25 in [-1, 1], and none before the first.
    assert result.audit["executed"] == pytest.approx(0.75 * np.mean(range(HORIZON)))
    row = evaluation.to_row(result, task, ())
    assert row["normalized_score"] is None and row["return_mean"] == np.mean(expected)


@pytest.mark.parametrize(
    ("fault", "named"),
    [
        ("nan observation", "an observation that is not finite in float32, after 2"),
        ("nan reward", "a reward that is not finite in float32, after 1 steps"),
        ("step", "step failed: KeyError"),
    ],
)
def test_an_environment_that_fails_is_named(key, fault, named):
    algorithm, params = steady()
    with evaluation.make_evaluator(task_with(fault=fault), algorithm) as evaluate:
        with pytest.raises(errors.UserError) as raised:
            evaluate(params, key, [()], 3)
    assert named in str(raised.value) and "strange_envs:Point-v0" in str(raised.value)


# Settings


@pytest.mark.parametrize("algo", algorithms.names())
def test_every_method_has_its_defaults_and_the_tasks_rewards(algo):
    task = data.Task(
        name="my-arm",
        observation_size=3,
        action_size=2,
        horizon=5,
        reward_transform="minus_one",
    )
    defaults = algorithms.config_class(algo)()
    config = resolve.default_config(task, algo, "paper")
    tuned = {"sac_n": "num_critics", "ssar": "trust"}  # for each robot, or set
    if algo in tuned:
        kept = {tuned[algo]: getattr(defaults, tuned[algo])}
        config = dataclasses.replace(config, **kept)
    assert config == defaults
    for preset in presets.PRESETS:
        run = resolve.resolve(task, algo, preset)
        assert run.data.reward_transform is None  # the task's
        assert run.task is task and run.workdir.parts[-3:-1] == ("my-arm", algo)


# Runs

_ACT = """
import json, sys
import gem_jax, jax, numpy as np
policy = gem_jax.load(sys.argv[1])
observation = np.random.default_rng(0).normal(size=(50, 3))
print(json.dumps(policy.act(jax.random.key(0), observation).action.tolist()))
assert not {"strange_envs", "gymnasium"} & set(sys.modules)
"""


def test_a_run_without_scores_tells_returns(run, place, tmp_path):
    workdir = tmp_path / "run"
    path = place(ENVIRONMENT)
    lines = train(path, workdir)
    assert sum(": return " in line and "success rate" in line for line in lines) == 3
    assert lines[-1].startswith("return ") and "over 1 seed(s)" in lines[-1]
    assert not any("normalized score" in line for line in lines)
    rows = rundir.read_lines(workdir / "eval.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 6]
    assert {row["normalized_score"] for row in rows} == {None}
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["normalized_score"] is summary["behavior_score"] is None
    assert summary["return_mean"]["per_seed"] == [rows[-1]["return_mean"]]
    assert summary["success_rate"]["mean"] == rows[-1]["success_rate"]

    # Neither the file nor the log is needed any more, and no environment to act.
    path.unlink()
    (tmp_path / "log.hdf5").unlink()
    script = [sys.executable, "-c", _ACT, str(workdir)]
    found = subprocess.run(script, check=True, stdout=subprocess.PIPE, text=True)
    action = np.array(json.loads(found.stdout))
    assert (action >= np.float32(LOW)).all() and (action <= np.float32(HIGH)).all()
    assert (action[:, 0] > 1.0).any()  # no policy in [-1, 1]
    result = run("evaluate", f"--workdir={workdir}", f"--output={tmp_path / 'again'}")
    assert result.returncode == 0, result.stderr
    (again,) = rundir.read_lines(tmp_path / "again")
    assert again["episodes"] == 100 and again["normalized_score"] is None
    first = again["returns"][: rows[-1]["episodes"]]  # the run's own, by one key
    assert np.mean(first) == rows[-1]["return_mean"]
    assert "score" not in result.stdout and ": success rate " in result.stdout
    last = result.stdout.splitlines()[-1]
    assert last.startswith(f"return {again['return_mean']:.1f} +- 0.0 over 1 seed")
    table = score_table.format_table(score_table.read_summaries([workdir]), {})
    cells = [cell.strip() for cell in table.splitlines()[2].split("|")]
    behavior, mine = summary["behavior_return"], summary["return_mean"]["mean"]
    assert cells[1:4] == ["my-point (return)", "file", f"{behavior:.1f}"]
    assert cells[4] == f"{mine:.1f} ± 0.0 (1)"


def test_with_scores_all_is_as_for_names_of_the_table(place, tmp_path):
    path = place(ENVIRONMENT, "min_score = 0\nmax_score = 3.0\n")
    lines = train(path, tmp_path / "run")
    (row,) = rundir.read_lines(tmp_path / "run" / "eval.jsonl")[-1:]
    assert row["normalized_score"] == pytest.approx(100 * row["return_mean"] / 3)
    assert lines[-1].startswith("normalized score ")
    before = contents(tmp_path / "run")
    assert train(path, tmp_path / "run")[-1].endswith("is complete; nothing to do")
    for change, named in (
        ("max_score = 4.0", "task.max_score=3.0, not 4.0"),
        ("env_kwargs = {delay = 0.0}\nmax_score = 3.0", "task.env_kwargs.delay=None"),
    ):
        with pytest.raises(errors.UserError, match=named):
            train(place(ENVIRONMENT, f"min_score = 0\n{change}\n"), tmp_path / "run")
    assert contents(tmp_path / "run") == before


def test_without_an_environment_nothing_is_evaluated(place, tmp_path):
    workdir = tmp_path / "run"
    lines = train(place(), workdir)
    assert lines[-1].startswith("not evaluated, since my-point names no environment; ")
    assert not any("update 6:" in line for line in lines)
    assert not rundir.read_lines(workdir / "eval.jsonl")
    summary = json.loads((workdir / "summary.json").read_text())
    assert summary["steps"] == 6
    for name in ("normalized_score", "return_mean", "success_rate"):
        assert summary[name] is None
    assert train(place(), workdir)[-1].endswith("is complete; nothing to do")
    table = score_table.format_table(score_table.read_summaries([workdir]), {})
    assert table.splitlines()[2].split("|")[4].strip() == "-"
    run = reevaluation.load(workdir)
    with pytest.raises(errors.UserError, match="my-point names no environment"):
        list(reevaluation.evaluate([run], 1))
    # One that was written later, with scores.
    later = place(ENVIRONMENT, "min_score = 0\nmax_score = 3\n", name="later.toml")
    (rows,) = reevaluation.evaluate([run.on_task(str(later))], 2)
    assert rows[0]["normalized_score"] is not None
    later.write_text(later.read_text().replace("[4.0, 1.0]", "[4.0, 2.0]"))
    for other in (str(later), "hopper-medium-v2"):
        with pytest.raises(errors.UserError, match="is not the run's task my-point"):
            run.on_task(other)


def test_an_environment_that_breaks_down_loses_nothing(place, tmp_path, monkeypatch):
    path, workdir = place(ENVIRONMENT), tmp_path / "run"
    monkeypatch.setenv(strange_envs.BROKEN, "yes")
    with pytest.raises(errors.UserError, match="step failed: KeyError: 'joint 3'"):
        train(path, workdir)
    assert [p.name for p in (workdir / "checkpoints").iterdir()] == ["2"]
    monkeypatch.delenv(strange_envs.BROKEN)
    lines = train(path, workdir)
    assert "continuing from update 2" in lines
    rows = rundir.read_lines(workdir / "eval.jsonl")
    assert [row["step"] for row in rows] == [2, 4, 6]


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        (['env_kwargs = {takes = "discrete"}\n'], "discrete actions"),
        (['env_kwargs = {observes = "image"}\n'], "observes images"),
        (['env_kwargs = {takes = "endless"}\n'], "no finite bounds"),
        (['env_kwargs = {fault = "making"}\n'], "no license for this robot"),
        (['observation_keys = ["place"]\n'], "observes no dict"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    place, tmp_path, lines, named
):
    workdir = tmp_path / "run"
    with pytest.raises(errors.UserError, match=named):
        train(place(ENVIRONMENT, *lines), workdir)
    assert not any(path.name != ".lock" for path in workdir.rglob("*"))


@pytest.mark.parametrize(
    ("lines", "named"),
    [
        ((ENVIRONMENT, 'env_kwargs = {takes = "discrete"}\n'), "discrete actions"),
        (("horizn = 3\n",), "unknown key 'horizn'; did you mean horizon?"),
    ],
)
def test_commands_say_so_in_one_line(run, place, tmp_path, lines, named):
    path, workdir = place(*lines), tmp_path / "run"
    flags = ("--algo=bc", "--preset=smoke", "--steps=6", f"--workdir={workdir}")
    result = run("train", f"--env={path}", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert line.startswith("train: error: ") and named in line
    assert not (workdir / "config.json").exists()
