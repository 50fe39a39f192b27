from __future__ import annotations

import json
import os

import forked
import h5py
import numpy as np
import pytest


@pytest.fixture
def command(tmp_path):
    """Runs ``python -m experiments.dataset`` with empty caches of its own."""

    def run(*arguments):
        environment = {
            **os.environ,
            "MINARI_DATASETS_PATH": str(tmp_path / "minari"),
            "D4RL_DATASET_DIR": str(tmp_path / "d4rl"),
        }
        return forked.run("experiments.dataset", *arguments, environment=environment)

    return run


def test_generate_then_inspect(command, tmp_path):
    size = ("--env=maze2d-umaze-v1", "--num_transitions=3000", "--source=local")
    made = command("generate", *size)
    assert made.returncode == 0 and "maze2d-umaze-v1" in made.stdout, made.stderr
    output = tmp_path / "deep" / "facts.json"
    seen = command("inspect", *size, f"--output={output}")
    assert seen.returncode == 0 and "reward_counts" in seen.stdout, seen.stderr
    facts = json.loads(output.read_text())
    assert facts["source"] == "local" and facts["num_transitions"] == 3000
    assert sum(facts["reward_counts"].values()) == 3000
    assert facts["not_finite"] == facts["duplicate_rows"] == facts["terminations"] == 0
    assert facts["largest_slip"] < 0.06 and facts["action_low"] == [-1.0, -1.0]
    found = {row["fault"] for row in facts["verdicts"] if row["found"]}
    assert found == {"early time-outs", "saturated actions"}  # as in D4RL's own
    assert (
        "FOUND  early time-outs" in seen.stdout and "ok     not finite" in seen.stdout
    )
    page = output.with_suffix(".png").read_bytes()
    assert page.startswith(b"\x89PNG") and len(page) > 10_000


def test_the_page_and_the_facts_are_two_files(command, tmp_path):
    output = tmp_path / "facts.png"
    result = command("inspect", "--env=maze2d-umaze-v1", f"--output={output}")
    assert result.returncode == 2 and "choose another ending" in result.stderr


def test_inspect_refuses_nothing(command, tmp_path):
    observations = np.random.default_rng(0).normal(size=(20, 4))
    observations[7] = np.nan
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        file["observations"] = observations
        file["actions"] = np.full((20, 2), 3.0)
        file["rewards"] = np.zeros(20)
        file["terminals"] = np.zeros(20, bool)
        file["timeouts"] = np.zeros(20, bool)
    source = f"--source=file:{tmp_path / 'a.hdf5'}"
    output = tmp_path / "facts.json"
    seen = command("inspect", "--env=maze2d-umaze-v1", source, f"--output={output}")
    assert seen.returncode == 0, seen.stderr
    found = {
        row["fault"]
        for row in json.loads(output.read_text())["verdicts"]
        if row["found"]
    }
    assert {"not finite", "actions out of bounds", "unfit for training"} <= found
    assert "observations[7, 0] is NaN" in seen.stdout
    assert output.with_suffix(".png").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["inspect", "--env=maze2d-umase-v1"], "maze2d-umaze-v1"),
        (["inspect", "--enw=maze2d-umaze-v1"], "Did you mean: env"),
        (["inspect"], "--env"),
        (["--env=maze2d-umaze-v1"], "generate, inspect, download"),
        (["destroy", "--env=maze2d-umaze-v1"], "generate, inspect, download"),
        (["inspect", "--env=maze2d-umaze-v1", "--seed=x"], "--seed"),
        (["inspect", "--env=maze2d-umaze-v1", "--source=moon"], "--source='moon'"),
    ],
)
def test_the_users_mistakes(command, arguments, message):
    result = command(*arguments)
    assert result.returncode == 2 and message in result.stderr
    assert len(result.stderr.splitlines()) == 1 and not result.stdout


def test_help(command):
    result = command("--help")
    assert result.returncode == 0 and "--num_transitions" in result.stdout
