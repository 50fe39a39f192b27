"""Training by the real command: files, kills, resumes."""

import json
import os
import shutil
import signal

import numpy as np

import gem_jax
from gem_jax.training import rundir
from gem_jax.utils import locks


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
    assert dataset["num_used"] == 20_000
    unchanged = {"name": "identity", "scale": 1.0, "shift": 0.0}
    assert dataset["rewards"] == unchanged and dataset["repairs"] == []
    config = json.loads((finished / "config.json").read_text())
    assert config["config"]["hidden_sizes"] == [16]
    data = {"num_transitions": 20_000, "num_used": 20_000, "repair": []}
    assert config["identity"].items() >= {**data, "rewards": unchanged}.items()
    assert "experiments.train" in config["command"] and config["versions"]["jax"]


def test_killed_again_and_again_equals_never_killed(
    run, fork, tiny, finished, tmp_path
):
    workdir = tmp_path / "run"
    flags = [*tiny, f"--workdir={workdir}", "--num_seeds=2"]
    killings = (
        (signal.SIGKILL, "metrics.jsonl"),  # with no checkpoint, or the first
        (signal.SIGTERM, "checkpoints/60"),  # in the middle of a phase
        (signal.SIGKILL, "checkpoints/90"),
        (signal.SIGINT, "checkpoints/120"),  # at the last evaluation
    )
    for how, seen in killings:
        assert not (workdir / seen).exists()
        command = fork("train", *flags)
        command.wait_until((workdir / seen).exists)
        command.send_signal(how)
        result = command.finish()
        if how == signal.SIGKILL:
            assert result.returncode == -signal.SIGKILL
        else:
            assert result.returncode == 128 + how, result.stderr
            assert "the same command continues" in result.stdout + result.stderr
        if how == signal.SIGINT:  # the last one, after those at 60 and at 90
            assert "continuing from update 90" in result.stdout
        assert not (workdir / "summary.json").exists()

    result = run("train", *flags)
    assert result.returncode == 0, result.stderr
    assert "continuing from update 120" in result.stdout
    assert leaf_hashes(workdir) == leaf_hashes(finished)
    for name in ("metrics.jsonl", "eval.jsonl"):
        resumed, whole = (rundir.read_lines(d / name) for d in (workdir, finished))
        assert without_timing(resumed) == without_timing(whole)


def test_the_same_command_again_changes_nothing(run, tiny, finished):
    before = (finished / "eval.jsonl").read_text()
    result = run("train", *tiny, f"--workdir={finished}", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    assert (finished / "eval.jsonl").read_text() == before


def test_a_damaged_last_checkpoint_is_made_again(run, tiny, finished, tmp_path):
    workdir = tmp_path / "run"
    shutil.copytree(finished, workdir)
    largest = max(
        (p for p in (workdir / "checkpoints" / "120" / "state").rglob("*")),
        key=lambda path: path.stat().st_size if path.is_file() else 0,
    )
    content = bytearray(largest.read_bytes())
    for place in range(0, len(content), 1024):  # parts of such a file may be unused
        content[place] ^= 1
    largest.write_bytes(content)
    result = run("train", *tiny, f"--workdir={workdir}", "--num_seeds=2")
    assert result.returncode == 0, result.stderr
    assert "checkpoint 120 is damaged" in result.stdout
    assert "continuing from update 90" in result.stdout
    assert leaf_hashes(workdir) == leaf_hashes(finished)
    resumed, whole = (rundir.read_lines(d / "eval.jsonl") for d in (workdir, finished))
    assert without_timing(resumed) == without_timing(whole)


def test_two_processes_do_not_share_a_run(run, tiny, tmp_path):
    workdir = tmp_path / "run"
    with locks.claim(workdir / ".lock", "this test"):
        result = run("train", *tiny, f"--workdir={workdir}")
    assert result.returncode == 2
    assert "another process is using" in result.stderr
    assert [path.name for path in workdir.iterdir()] == [".lock"]


def test_a_run_without_the_flags_of_these_tests(fork, tmp_path):
    """As users compile it; another command reads it again."""
    task = ("--env=maze2d-umaze-v1", "--source=local", "--preset=smoke", "--algo=bc")
    small = ("--steps=90", "--config.hidden_sizes=(16,)", "--num_seeds=2")
    workdir = f"--workdir={tmp_path / 'run'}"
    result = fork("train", *task, *small, workdir, XLA_FLAGS="").finish()
    assert result.returncode == 0, result.stderr
    result = fork("evaluate", workdir, "--episodes=1", XLA_FLAGS="").finish()
    assert result.returncode == 0, result.stderr


def test_a_run_made_on_two_devices_continues_on_one(run, fork, tiny, tmp_path):
    xla = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count=2"
    flags = [*tiny, f"--workdir={tmp_path / 'run'}", "--num_seeds=2"]
    command = fork("train", *flags, XLA_FLAGS=xla)
    command.wait_until((tmp_path / "run" / "metrics.jsonl").exists)
    command.send_signal(signal.SIGTERM)
    assert command.finish().returncode == 143
    result = run("train", *flags)
    assert result.returncode == 0, result.stderr
    assert "continuing from update" in result.stdout
    # Not bit for bit: two devices share the threads, and sums run in another order.
    assert gem_jax.load(tmp_path / "run", seed=1).step == 120
