"""The examples run, and show what they say."""

import json
import os
import pathlib
import re
import subprocess
import sys

import nbclient
import nbformat
import pytest

EXAMPLES = pathlib.Path(__file__).resolve().parents[1] / "examples"


def run(name, *arguments, **environment):
    result = subprocess.run(
        [sys.executable, EXAMPLES / name, *map(str, arguments)],
        env=os.environ | {"JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_every_example_is_run_here():
    tested = pathlib.Path(__file__).read_text()
    for path in EXAMPLES.iterdir():
        assert f'"{path.name}"' in tested, path.name


def test_train_and_act(tmp_path):
    data = str(tmp_path / "data")
    out = run("train_and_act.py", tmp_path / "run", MINARI_DATASETS_PATH=data)
    assert re.findall(r"N = (\d+): return \d+\.\d", out) == ["0", "64"]


def test_own_task(tmp_path):
    small = ("--episodes=5", "--steps=20", "--algo=bc")
    out = run("own_task.py", tmp_path, *small)
    log, policy = map(float, re.findall(r"(?:log|policy) (-\d+\.\d)", out))
    assert -2000 < policy < 0 and -2000 < log < 0  # 200 steps of up to -16.3
    summary = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert summary["normalized_score"] is None and f"{log}" in out
    assert summary["behavior_return"] == pytest.approx(log, rel=0.05)


def test_score_in_other_code():
    out = run("score_in_other_code.py")
    plain, pessimist, supported, both = map(float, re.findall(r"([\d.]+) from", out))
    assert plain > pessimist > both and plain > supported > both


def test_cluster_trajectories():
    assert "Rand index 100 %" in run("cluster_trajectories.py")


def test_the_notebook_shows_what_pessimism_and_support_do():
    notebook = nbformat.read(EXAMPLES / "knobs.ipynb", as_version=4)
    assert not any(cell.get("outputs") for cell in notebook.cells)  # kept clean
    nbclient.NotebookClient(notebook, timeout=300).execute()
    printed = "".join(output.get("text", "") for output in notebook.cells[-1].outputs)
    few, many, pessimist, both = map(float, re.findall(r": ([\d.]+)$", printed, re.M))
    assert few < many and pessimist < many and both < pessimist / 2
