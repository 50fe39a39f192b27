"""Bad input: one clear line, exit code 2, nothing lost."""

import json
import resource
import subprocess
import sys
import time

import forked
import h5py
import numpy as np
import pytest

from gem_jax.training import rundir


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--env=antmaze-umze-v2"], "did you mean one of antmaze-umaze-v2"),
        (
            ["--env=maze2d-umaze-v1", "--algo=gen"],
            "choose one of awac, bc, cql",
        ),
        (["--env=maze2d-umaze-v1", "--config.kapa=1"], "--config.kapa; gem has"),
        (["--env=maze2d-umaze-v1", "--sede=1"], "sede"),
        (["--env=maze2d-umaze-v1", "--preset=quick"], "paper, best, laptop, smoke"),
        (["--env=maze2d-umaze-v1", "--config.kappa=-1"], "kappa must be at least 0"),
        (["--env=maze2d-umaze-v1", "--config.num_candidates=-1"], "num_candidates"),
        (["--env=maze2d-umaze-v1", "--config.top_m=99999"], "top_m must be between"),
        (["--env=maze2d-umaze-v1", "--config.kappa=high"], "kappa"),
        (
            ["--env=navigation-v0", "--algo=empo", "--config.num_clusters=0"],
            "num_clusters must be positive, got 0",
        ),
        (
            ["--env=navigation-v0", "--algo=empo", "--config.support_ratio=0.5"],
            "support_ratio must be at least 1",
        ),
        (
            ["--env=maze2d-umaze-v1", "--algo=dt", "--config.target_return=nan"],
            "target_return must be between -1e+09 and 1e+09, got nan",
        ),
        (
            ["--env=maze2d-umaze-v1", "--algo=dt", "--config.num_heads=3"],
            "width=64 must be a multiple of num_heads=3",
        ),
        (
            ["--env=maze2d-umaze-v1", "--num_seeds=0"],
            "--num_seeds=0: 0 is not a positive",
        ),
        (["--env=maze2d-umaze-v1", "--num_seeds=100000000"], "seeds train side by"),
        (["--env=maze2d-umaze-v1", "--steps=0"], "--steps=0: 0 is not a positive"),
        (["--env=maze2d-umaze-v1", "--seed=-1"], "--seed=-1"),
        (["--env=maze2d-umaze-v1", "seed=3"], "unexpected argument"),
        (["--env=maze2d-umaze-v1", "--online_share=1"], "without --online_steps"),
        (["--env=maze2d-umaze-v1", "--workdir="], "--workdir is empty"),
        (["--env=maze2d-umaze-v1", "--best_share=0"], "best_share=0.0 must be above 0"),
        (["--env=maze2d-umaze-v1", "--best_share=nan"], "best_share=nan must be above"),
        (["--env=maze2d-umaze-v1", "--repair=until_terminal:x"], "number of steps"),
        (["--env=maze2d-umaze-v1", "--reward_transform=log"], "identity|minus_one"),
        (["--env=maze2d-umaze-v1", "--reward_scale=0"], "reward scale 0 must be"),
        (
            [
                "--env=maze2d-umaze-v1",
                "--reward_transform=identity",
                "--reward_shift=1",
            ],
            "--reward_transform=identity says scale and shift already",
        ),
        ([], "env"),
    ],
)
def test_bad_flags_are_one_line_and_exit_2(run, tmp_path, flags, named):
    result = run("train", f"--workdir={tmp_path / 'run'}", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line
    assert "Traceback" not in result.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("flags", "named"),
    [
        (["--env=navigation-v0"], "dt has no target return for this task; give"),
        (["--config.target_return=280000"], "is more than 100 times any return"),
        (["--config.context=301"], "context=301 is more than the longest trajectory"),
        (["--reward_shift=-1"], "trains on them as recorded, not on 1 * reward + -1"),
    ],
)
def test_what_dt_does_not_take_is_one_line_and_exit_2(run, tmp_path, flags, named):
    task = ["--env=maze2d-umaze-v1", "--source=local", "--algo=dt", "--preset=smoke"]
    result = run("train", *task, f"--workdir={tmp_path / 'run'}", *flags)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line
    assert not (tmp_path / "run" / "config.json").exists()


@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--config.kapa=1", "unknown field --config.kapa; gem has"),
        ("--noconfig.kapa", "unknown field --config.kapa; gem has"),
        ("--config.kappa=high", "--config.kappa=high"),
        ("--steps=many", "--steps=many"),
        ("--config.kappa=-1", "kappa must be at least 0"),
    ],
)
def test_bad_flags_in_a_file_are_answered_alike(run, tmp_path, line, named):
    path = tmp_path / "flags"
    path.write_text(f"# settings\n--env=maze2d-umaze-v1\n{line}\n")
    result = run("train", f"--workdir={tmp_path / 'run'}", f"--flagfile={path}")
    assert result.returncode == 2, result.stderr
    (row,) = result.stderr.splitlines()
    assert row.startswith("train: error: ") and named in row
    assert not (tmp_path / "run").exists()


def test_an_unknown_recipe_is_one_line_and_exit_2(run):
    result = run("behaviors.evaluate_ant", "--recipes=medium-play,medium-ply")
    assert result.returncode == 2, result.stderr
    (line,) = result.stderr.splitlines()
    assert "--recipes: 'medium-ply' is unknown; choose some of umaze, " in line


@pytest.mark.parametrize("module", ["sweep", "table"])
@pytest.mark.parametrize("flags", [[], ["--workdir="]])
def test_a_list_of_runs_must_not_be_empty(run, module, flags):
    result = run(module, *flags, *(["--kappa=1"] if module == "sweep" else []))
    assert result.returncode == 2, result.stdout
    assert result.stderr == (
        f"{module}: error: no run given; name its folder, --workdir=FOLDER\n"
    )


@pytest.mark.parametrize(
    ("module", "flags", "named"),
    [
        ("behaviors.select_locomotion", ["--robot=hopper"], "two are needed"),
        ("behaviors.train_ant", ["--steps=0"], "holds no checkpoint"),
    ],
)
def test_no_policies_to_choose_from(run, tmp_path, module, flags, named):
    result = run(module, *flags, f"--workdir={tmp_path}")
    assert result.returncode == 2 and "Traceback" not in result.stderr
    assert named in result.stderr


def test_another_config_in_the_same_folder_is_refused(run, tiny, finished):
    before = contents(finished)
    flags = [*tiny, f"--workdir={finished}", "--num_seeds=2"]
    result = run("train", *flags, "--config.beta=5")
    assert result.returncode == 2
    assert "config.beta=1.0" in result.stderr
    result = run("train", *flags, "--reward_scale=2")
    assert result.returncode == 2 and "rewards.name='identity'" in result.stderr
    result = run("train", *flags, "--resume=never")
    assert result.returncode == 2 and "already holds a run" in result.stderr
    assert contents(finished) == before


def contents(folder):
    return {p: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_must_resume_needs_a_run(run, tiny, tmp_path):
    flags = [*tiny, f"--workdir={tmp_path / 'none'}", "--resume=must"]
    result = run("train", *flags)
    assert result.returncode == 2 and "holds no run" in result.stderr


def test_originals_without_network_are_refused_with_the_remedy(run, tmp_path):
    flags = ["--env=maze2d-umaze-v1", "--source=d4rl", f"--workdir={tmp_path / 'x'}"]
    start = time.monotonic()
    result = run("train", *flags)
    assert result.returncode == 2 and "--source=local" in result.stderr
    assert time.monotonic() - start < 30  # at most 15 s for the network


def test_divergence_stops_with_the_metric_named(run, tiny, tmp_path):
    flags = [*tiny, f"--workdir={tmp_path / 'x'}", "--config.learning_rate=1e30"]
    result = run("train", *flags)
    assert result.returncode == 1
    assert "FloatingPointError" in result.stderr and "for seed 0" in result.stderr
    metrics = rundir.read_lines(tmp_path / "x" / "metrics.jsonl")
    assert metrics and all(np.isfinite(row["behavior/nll"]) for row in metrics)


def test_one_transition_trains_with_a_warning(run, tiny, tmp_path):
    path = tmp_path / "one.hdf5"
    with h5py.File(path, "w") as file:
        file["observations"] = np.ones((2, 4), np.float32)
        file["actions"] = np.zeros((2, 2), np.float32)
        file["rewards"] = np.zeros(2, np.float32)
        file["terminals"] = np.zeros(2, bool)
        file["timeouts"] = np.zeros(2, bool)
    flags = [flag for flag in tiny if not flag.startswith("--source")]
    result = run(
        "train",
        *flags,
        f"--source=file:{path}",
        f"--workdir={tmp_path / 'run'}",
    )
    assert result.returncode == 0, result.stderr
    assert "transition" in result.stdout + result.stderr
    dataset = json.loads((tmp_path / "run" / "dataset.json").read_text())
    assert dataset["num_transitions"] == 1 and dataset["source"] == "file"


def test_a_workdir_that_cannot_be_made_is_refused(run, tiny, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("kept")
    result = run("train", *tiny, f"--workdir={blocked / 'run'}")
    assert result.returncode == 2 and "cannot write" in result.stderr
    assert blocked.read_text() == "kept"


def test_a_full_disk_leaves_earlier_files_whole(environment, tiny, finished, tmp_path):
    del finished  # has made the data, which would not fit either
    workdir = tmp_path / "run"
    limit = 12_000  # bytes a file: settings fit, a checkpoint does not
    command = [sys.executable, "-m", "experiments.train"]
    result = subprocess.run(
        [*command, *tiny, f"--workdir={workdir}"],
        env=environment,
        cwd=forked.ROOT,
        stderr=subprocess.PIPE,
        text=True,
        timeout=300,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
    )
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert "cannot write" in line and "free space" in line
    assert json.loads((workdir / "config.json").read_text())["algo"] == "gem"
