from __future__ import annotations

import json
import os
import re
import tomllib

import forked
import h5py
import numpy as np
import pytest

from experiments.dataset import card
from experiments.lib import multimodality
from gem_jax.data import episodes, sources


@pytest.fixture
def command(tmp_path):
    """Runs ``python -m experiments.dataset`` with empty caches of its own."""

    def run(*arguments, module="dataset"):
        environment = {
            **os.environ,
            "MINARI_DATASETS_PATH": str(tmp_path / "minari"),
            "D4RL_DATASET_DIR": str(tmp_path / "d4rl"),
        }
        name = f"experiments.{module}"
        return forked.run(name, *arguments, environment=environment)

    return run


def test_generate_then_inspect(command, tmp_path):
    size = ("--env=maze2d-umaze-v1", "--num_transitions=3000")
    made = command("generate", *size)
    assert made.returncode == 0 and "maze2d-umaze-v1" in made.stdout, made.stderr
    output = tmp_path / "deep" / "facts.json"
    seen = command("inspect", *size, "--source=local", f"--output={output}")
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


def _log(path, episodes=20, steps=60):
    """Two ways to act, of which every third episode is the worse."""
    rng = np.random.default_rng(0)
    lines = ["obs_0,obs_1,action_0,reward,terminal,timeout,policy"]
    for episode in range(episodes):
        for step in range(steps):
            numbers = [*rng.normal(size=2), rng.choice([-2.0, 2.0]) + rng.normal() / 9]
            ends = [0, int(step == steps - 1), episode % 3]
            reward = 1.0 + (episode % 3 > 0)
            lines.append(",".join(map(str, [*numbers, reward, *ends])))
    path.write_text("\n".join(lines))


def test_a_data_card_of_ones_own_log(command, tmp_path):
    _log(tmp_path / "log.csv")
    output = tmp_path / "card.md"
    source = f"--source=file:{tmp_path / 'log.csv'}"
    seen = command("inspect", source, f"--output={output}", "--mixture_steps=0")
    assert seen.returncode == 0, seen.stderr
    text = output.read_text()
    assert text.startswith("# Data card: log\n") and "](card.png)" in text
    assert re.search(r"\| 0 +\| 7 +\| 413 +\| 59 ", text)  # the worse episodes
    assert re.search(r"return +\| 59 .*\| 118 +\|\n", text)
    assert "Level: **mixed**" in text and "of 2 features that change" in text
    assert "Not measured." in text
    assert "None of those known." in text  # its actions reach 2, as its bounds do
    picture = output.with_suffix(".png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    # Without a page of its name the picture is somebody's.
    output.unlink()
    refused = command("inspect", source, f"--output={output}", "--mixture_steps=0")
    assert refused.returncode == 2 and "card.png, which is there" in refused.stderr
    assert output.with_suffix(".png").read_bytes() == picture
    assert not list(tmp_path.glob(".*"))  # no temporary file is left


def _episode(rng, steps, scale):
    return episodes.Episode(
        observations=rng.normal(size=(steps + 1, 2)).astype(np.float32),
        actions=(scale * rng.uniform(-1, 1, (steps, 2)) + 1).astype(np.float32),
        rewards=np.zeros(steps, np.float32),
        terminations=np.zeros(steps, bool),
        truncations=np.arange(steps) == steps - 1,
    )


def test_the_gap_is_of_actions_in_the_box_and_of_pieces(monkeypatch):
    asked = []

    def note(recorded, num_steps):
        asked.append((recorded, num_steps))
        return {"gap": 0.25}

    monkeypatch.setattr(multimodality, "held_out_nll", note)
    rng = np.random.default_rng(0)
    few = [_episode(rng, 600, 3.0), _episode(rng, 500, 3.0)]
    assert card.measure_gap(few, 7) == 0.25
    ((pieces, num_steps),) = asked
    assert num_steps == 7 and len(pieces) >= 20 and sum(map(len, pieces)) == 1100
    actions = np.concatenate([e.actions for e in pieces])
    np.testing.assert_allclose(actions.min(axis=0), -1.0, rtol=1e-5)
    np.testing.assert_allclose(actions.max(axis=0), 1.0, rtol=1e-5)
    many = [_episode(rng, 50, 0.0) for _ in range(25)]  # within the box: as they are
    card.measure_gap(many, 7)
    assert asked[-1][0] == many
    assert card.measure_gap(few, 0) is None
    assert card.measure_gap(few[1:], 7) is None  # too few transitions
    few[0].observations[3] = np.nan
    assert card.measure_gap(few, 7) is None
    assert "Gap: 0.25 nats per action" in card._modes(0.25)


def test_describe_writes_a_task_file_once(command, tmp_path):
    _log(tmp_path / "log.csv")
    source, output = f"--source=file:{tmp_path / 'log.csv'}", tmp_path / "task.toml"
    shown = command("describe", source)
    assert shown.returncode == 0, shown.stderr
    made = command("describe", source, f"--output={output}", "--env_id=Pendulum-v1")
    assert made.returncode == 0 and "wrote" in made.stdout
    content = tomllib.loads(output.read_text())
    assert content.pop("env_id") == "Pendulum-v1"
    assert content == tomllib.loads(shown.stdout) and content["horizon"] == 60
    output.write_text("mine")
    again = command("describe", source, f"--output={output}")
    assert again.returncode == 2 and "is there already" in again.stderr
    assert output.read_text() == "mine" and not again.stdout
    replaced = command("describe", source, f"--output={output}", "--overwrite")
    assert replaced.returncode == 0 and "horizon = 60" in output.read_text()


def test_what_cannot_be_read_leaves_what_is_there(command, tmp_path):
    (tmp_path / "log.csv").write_text("obs_0,action_0,reward\n1,2,3\n")
    output = tmp_path / "kept.md"
    output.write_text("mine")
    source = f"--source=file:{tmp_path / 'log.csv'}"
    for flags in (["inspect"], ["describe", "--overwrite"]):
        result = command(*flags, source, f"--output={output}")
        assert result.returncode == 2 and len(result.stderr.splitlines()) == 1
        assert "tried a CSV log (no column 'terminal')" in result.stderr
        assert output.read_text() == "mine"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["describe"], "name file:PATH or minari:ID"),
        (["inspect", "--source=minari:../x-v0"], "no Minari id"),
        (["describe", "--source=minari:x-v0"], "experiments.dataset download"),
        (["download", "--source=minari"], "--env is missing"),
        (["download", "--source=minari:D4RL/antmaze/umaze-v1"], "a goal of its own"),
        (["inspect", "--env=maze2d-umase-v1"], "maze2d-umaze-v1"),
        (["inspect", "--enw=maze2d-umaze-v1"], "Did you mean: env"),
        (["inspect"], "--env"),
        (["generate", "--source=local"], "generate takes no --source, only --env, --n"),
        (["inspect", "--overwrite"], "inspect takes no --overwrite, only --env, --s"),
        (["download", "--seed=0"], "download takes no --seed, only --env, --source"),
        (["describe", "--env=x.toml"], "describe takes no --env, only --source, --nu"),
        (["download", "--source=local"], "--source=local is not downloaded; choose"),
        (["download", "--source=d4rl:x"], "--source=d4rl:x is not downloaded; choose"),
        (
            ["download", "--env=hopper-medium-v2", "--source=ogbench"],
            "OGBench has no hopper-medium-v2, whose data come by --source=local",
        ),
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


@pytest.mark.parametrize("module", ["train", "dataset"])
def test_help_names_every_source_and_kind_of_task(command, module):
    words = " ".join(command("--help", module=module).stdout.split())
    (env,) = re.findall(r"--env: (.*?) --", words)
    (source,) = re.findall(r"--source: (.*?) \(default", words)
    assert "D4RL's or OGBench's, the file of one's own, or minari:ID" in env
    assert "auto, d4rl, ogbench, minari, minari:ID, local or file:PATH" in source
    assert "auto, d4rl, ogbench, minari, local, file" == ", ".join(sources._READERS)
