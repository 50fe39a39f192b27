"""The real commands on tiny real data: train, kill, resume, load, evaluate, refuse."""

import csv
import json
import os
import pathlib
import signal
import subprocess
import sys
import time

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pytest

import gem_jax
from gem_jax import errors
from gem_jax.data import locks
from gem_jax.training import rundir

ROOT = pathlib.Path(__file__).resolve().parents[2]
TINY = [
    "--env=maze2d-umaze-v1",
    "--source=local",
    "--preset=smoke",
    "--steps=90",
    "--config.behavior_steps=30",
    "--config.hidden_sizes=(16,16)",
    "--config.num_components=2",
    "--config.num_candidates=4",
]


@pytest.fixture(scope="module")
def environment(tmp_path_factory):
    """One dataset cache for the whole file."""
    cache = tmp_path_factory.mktemp("cache")
    return os.environ | {
        "MINARI_DATASETS_PATH": str(cache),
        "D4RL_DATASET_DIR": str(cache / "d4rl"),
        "JAX_PLATFORMS": "cpu",
    }


def command(module, *flags):
    return [sys.executable, "-m", f"experiments.{module}", *flags]


def run(environment, module, *flags):
    return subprocess.run(
        command(module, *flags),
        env=environment,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )


@pytest.fixture(scope="module")
def finished(environment, tmp_path_factory):
    """A run of two seeds that was never interrupted."""
    workdir = tmp_path_factory.mktemp("whole")
    result = run(environment, "train", *TINY, f"--workdir={workdir}", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    return workdir


def leaf_hashes(workdir):
    """The hashes of the newest checkpoint's leaves, as the checkpoint states them."""
    newest = max((workdir / "checkpoints").iterdir(), key=lambda path: int(path.name))
    (meta,) = (newest / "meta").glob("metadata*")
    return json.loads(meta.read_text())["leaves"]


def without_timing(rows):
    timing = {"updates_per_second", "seconds", "env_steps_per_second"}
    return [{k: v for k, v in row.items() if k not in timing} for row in rows]


def test_a_run_leaves_its_files(finished):
    summary = json.loads((finished / "summary.json").read_text())
    assert summary["steps"] == 120 and summary["seeds"] == [0, 1]
    score = summary["normalized_score"]
    np.testing.assert_allclose(score["mean"], np.mean(score["per_seed"]))
    assert summary["updates_per_second"] > 0 and summary["wall_seconds"] > 0
    evaluations = rundir.read_lines(finished / "eval.jsonl")
    assert len({row["step"] for row in evaluations}) >= 2
    assert {row["seed"] for row in evaluations} == {0, 1}
    for field in ("return_mean", "success_rate", "support_z", "knobs"):
        assert evaluations[0][field] is not None
    metrics = rundir.read_lines(finished / "metrics.jsonl")
    assert {row["phase"] for row in metrics} == {"behavior", "policy"}
    assert len(list((finished / "checkpoints").iterdir())) >= 3
    dataset = json.loads((finished / "dataset.json").read_text())
    assert dataset["source"] == "local" and dataset["num_transitions"] == 20_000
    config = json.loads((finished / "config.json").read_text())
    assert config["config"]["hidden_sizes"] == [16, 16]
    assert "experiments.train" in config["command"] and config["versions"]["jax"]


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_kill_and_resume_equals_never_killed(environment, finished, tmp_path, how):
    workdir = tmp_path / "run"
    flags = [*TINY, f"--workdir={workdir}", "--num_seeds=2"]
    process = subprocess.Popen(
        command("train", *flags),
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    wait_for_line(workdir / "metrics.jsonl", process)
    process.send_signal(how)
    output, _ = process.communicate(timeout=60)
    if how == signal.SIGKILL:
        assert process.returncode == -signal.SIGKILL
    else:
        assert process.returncode == 0, output
        assert "the same command continues" in output
    assert not (workdir / "summary.json").exists()

    result = run(environment, "train", *flags)
    assert result.returncode == 0, result.stderr
    assert leaf_hashes(workdir) == leaf_hashes(finished)
    for name in ("metrics.jsonl", "eval.jsonl"):
        resumed, whole = (rundir.read_lines(d / name) for d in (workdir, finished))
        assert without_timing(resumed) == without_timing(whole)


def wait_for_line(path, process):
    deadline = time.monotonic() + 120
    while not (path.exists() and path.read_text()):
        assert process.poll() is None, process.communicate()[0]
        assert time.monotonic() < deadline
        time.sleep(0.02)  # polls a file that another process writes


def test_the_same_command_again_changes_nothing(environment, finished):
    before = (finished / "eval.jsonl").read_text()
    result = run(environment, "train", *TINY, f"--workdir={finished}", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    assert (finished / "eval.jsonl").read_text() == before


def test_two_processes_do_not_share_a_run(environment, tmp_path):
    workdir = tmp_path / "run"
    with locks.claim(workdir / ".lock", "this test"):
        result = run(environment, "train", *TINY, f"--workdir={workdir}")
    assert result.returncode == 2
    assert "another process is using" in result.stderr
    assert [path.name for path in workdir.iterdir()] == [".lock"]


def test_a_run_made_on_two_devices_continues_on_one(environment, tmp_path):
    two = environment | {"XLA_FLAGS": "--xla_force_host_platform_device_count=2"}
    flags = [*TINY, f"--workdir={tmp_path / 'run'}", "--num_seeds=2"]
    process = subprocess.Popen(
        command("train", *flags), env=two, cwd=ROOT, stdout=subprocess.DEVNULL
    )
    wait_for_line(tmp_path / "run" / "metrics.jsonl", process)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0
    result = run(environment, "train", *flags)
    assert result.returncode == 0, result.stderr
    assert "continuing from update" in result.stdout
    # Not bit for bit: two devices share the threads, and sums run in another order.
    assert gem_jax.load(tmp_path / "run", seed=1).step == 120


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


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"num_candidates": -1}, "num_candidates must be at least 0"),
        ({"top_m": 9}, "top_m must be between 1 and the 5"),
        ({"kappa": -1.0}, "kappa must be at least 0"),
        ({"lambda_start": -1.0}, "lambda_start must be at least 0"),
        ({"temprature": 1.0}, "no knob temprature"),
    ],
)
def test_bad_knobs_are_refused(finished, changes, named):
    with pytest.raises(errors.UserError, match=named):
        gem_jax.load(finished).with_knobs(**changes)


def test_bad_loads_and_observations_are_refused(finished, tmp_path):
    with pytest.raises(errors.UserError, match="is --workdir a run folder"):
        gem_jax.load(tmp_path)
    with pytest.raises(errors.UserError, match="holds 2 seed"):
        gem_jax.load(finished, seed=2)
    with pytest.raises(errors.UserError, match="no checkpoint of step 7"):
        gem_jax.load(finished, step=7)
    with pytest.raises(ValueError, match=r"observation must be \[B, 4\]"):
        gem_jax.load(finished).act(jax.random.key(0), jnp.zeros((2, 5)), jnp.zeros(2))


def test_evaluate_repeats_the_runs_own_numbers(environment, finished, tmp_path):
    output = tmp_path / "rows.jsonl"
    result = run(
        environment,
        "evaluate",
        f"--workdir={finished}",
        "--episodes=4",
        f"--output={output}",
    )
    assert result.returncode == 0, result.stderr
    last = [r for r in rundir.read_lines(finished / "eval.jsonl") if r["step"] == 120]
    got = rundir.read_lines(output)
    assert [r["return_mean"] for r in got] == [r["return_mean"] for r in last]
    changed = run(
        environment, "evaluate", f"--workdir={finished}", "--episodes=2", "--kappa=-1"
    )
    assert changed.returncode == 2
    assert "kappa must be at least 0" in changed.stderr


def test_sweep_continues_its_table_and_repeats_the_runs_own_numbers(
    environment, finished, tmp_path
):
    table = tmp_path / "table.csv"
    grid = ["--num_candidates=0,4", "--kappa=0,1", "--episodes=4"]
    common = [f"--workdir={finished}", f"--output={table}"]
    whole = run(environment, "sweep", *common, *grid)
    assert whole.returncode == 0, whole.stderr
    lines = table.read_text().splitlines()
    assert len(lines) == 1 + 2 * 2 * 2  # header; N, kappa, seed
    with table.open() as file:
        rows = list(csv.DictReader(file))
    own = [r for r in rows if r["num_candidates"] == "4" and r["kappa"] == "1.0"]
    last = [r for r in rundir.read_lines(finished / "eval.jsonl") if r["step"] == 120]
    scores = [float(row["normalized_score"]) for row in own]
    assert scores == [row["normalized_score"] for row in last]

    table.write_text("\n".join(lines[:-2]) + "\n" + lines[-2][:20])  # interrupted
    again = run(environment, "sweep", *common, *grid)
    assert again.returncode == 0, again.stderr
    kept = table.read_text().splitlines()
    assert kept[:-2] == lines[:-2]

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
def test_sweep_refuses_bad_lists_before_playing(environment, finished, flags, named):
    result = run(environment, "sweep", f"--workdir={finished}", *flags)
    assert result.returncode == 2, result.stderr
    assert named in result.stderr


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--env=antmaze-umze-v2"], "did you mean one of antmaze-umaze-v2"),
        (["--env=maze2d-umaze-v1", "--algo=gen"], "choose one of bc, gem, iql"),
        (["--env=maze2d-umaze-v1", "--config.kapa=1"], "--config.kapa; gem has"),
        (["--env=maze2d-umaze-v1", "--sede=1"], "sede"),
        (["--env=maze2d-umaze-v1", "--preset=quick"], "paper, laptop, smoke"),
        (["--env=maze2d-umaze-v1", "--config.kappa=-1"], "kappa must be at least 0"),
        (["--env=maze2d-umaze-v1", "--config.num_candidates=-1"], "num_candidates"),
        (["--env=maze2d-umaze-v1", "--config.top_m=99999"], "top_m must be between"),
        (["--env=maze2d-umaze-v1", "--config.kappa=high"], "kappa"),
        (
            ["--env=maze2d-umaze-v1", "--num_seeds=0"],
            "--num_seeds=0: 0 is not a positive",
        ),
        (["--env=maze2d-umaze-v1", "--steps=0"], "--steps=0: 0 is not a positive"),
        (["--env=maze2d-umaze-v1", "--seed=-1"], "--seed=-1"),
        (["--env=maze2d-umaze-v1", "seed=3"], "unexpected argument"),
        ([], "env"),
    ],
)
def test_bad_flags_are_one_line_and_exit_2(environment, tmp_path, flags, named):
    result = run(environment, "train", f"--workdir={tmp_path / 'run'}", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


def test_another_config_in_the_same_folder_is_refused(environment, finished):
    before = leaf_hashes(finished)
    flags = [*TINY, f"--workdir={finished}", "--num_seeds=2"]
    result = run(environment, "train", *flags, "--config.beta=5")
    assert result.returncode == 2
    assert "config.beta=3.0" in result.stderr
    assert leaf_hashes(finished) == before
    result = run(environment, "train", *flags, "--resume=never")
    assert result.returncode == 2 and "already holds a run" in result.stderr


def test_must_resume_needs_a_run(environment, tmp_path):
    flags = [*TINY, f"--workdir={tmp_path / 'none'}", "--resume=must"]
    result = run(environment, "train", *flags)
    assert result.returncode == 2 and "holds no run" in result.stderr


def test_originals_without_network_are_refused_with_the_remedy(environment, tmp_path):
    flags = ["--env=maze2d-umaze-v1", "--source=d4rl", f"--workdir={tmp_path / 'x'}"]
    start = time.monotonic()
    result = run(environment, "train", *flags)
    assert result.returncode == 2 and "--source=local" in result.stderr
    assert time.monotonic() - start < 60


def test_divergence_stops_with_the_metric_named(environment, tmp_path):
    flags = [*TINY, f"--workdir={tmp_path / 'x'}", "--config.learning_rate=1e30"]
    result = run(environment, "train", *flags)
    assert result.returncode == 1
    assert "FloatingPointError" in result.stderr and "for seed 0" in result.stderr
    metrics = rundir.read_lines(tmp_path / "x" / "metrics.jsonl")
    assert metrics and all(np.isfinite(row["behavior/nll"]) for row in metrics)


def test_one_transition_trains_with_a_warning(environment, tmp_path):
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.ones((2, 4), np.float32)
        file["actions"] = np.zeros((2, 2), np.float32)
        file["rewards"] = np.zeros(2, np.float32)
        file["terminals"] = np.zeros(2, bool)
        file["timeouts"] = np.zeros(2, bool)
    flags = [flag for flag in TINY if not flag.startswith("--source")]
    result = run(
        environment,
        "train",
        *flags,
        f"--source=file:{path}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert result.returncode == 0, result.stderr
    assert "transition" in result.stdout + result.stderr
    dataset = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert dataset["num_transitions"] == 1 and dataset["source"] == "file"


def test_a_workdir_that_cannot_be_made_is_refused(environment, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    result = run(environment, "train", *TINY, f"--workdir={blocked / 'run'}")
    assert result.returncode == 2 and "cannot write" in result.stderr
    assert blocked.read_text() == "kept"
