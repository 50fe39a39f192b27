"""What the runner promises: lines and states that know no interruption."""

import dataclasses
import json
import os
import shutil
import signal

import jax
import numpy as np
import pytest

from gem_jax import algorithms, configs, errors, policy
from gem_jax.data import task_file, tasks
from gem_jax.runs import pacing, presets, run_record, runner, steps_of_targets
from gem_jax.training import collecting, interrupt, loop, rundir
from gem_jax.types import EnvSpec, Transition
from gem_jax.utils import progress

TASK = tasks.get("maze2d-umaze-v1")


@pytest.fixture
def make_run(finished, environment, tmp_path, monkeypatch):
    """Runs of 80 updates with a line every 40; ``finished`` has made the data."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", environment["MINARI_DATASETS_PATH"])

    def make(name, algo="bc", **options):
        small = dict(hidden_sizes=(8,), num_steps=80, batch_size=64)
        return run_record.Run(
            task=TASK,
            algo=algo,
            config=dataclasses.replace(
                configs.get_config(algo, TASK, "smoke"), **small
            ),
            source="local",
            preset="smoke",
            schedule=presets.Schedule(40, 80, 1, 1, 40),
            data=presets.DataOptions(num_transitions=20_000),
            seeds=(0, 1),
            workdir=tmp_path / name,
            command="",
            **options,
        )

    return make


def train(run, monkeypatch, dispatch, stop_at=None):
    """Trains with dispatches of at least some updates; a signal comes after others."""
    counted = []
    add = progress.Progress.add

    def add_and_signal(self, amount):
        add(self, amount)
        counted.append(amount)
        if stop_at is not None and sum(counted) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)

    with monkeypatch.context() as patch:
        patch.setattr(pacing, "ENOUGH", dispatch)
        patch.setattr(progress.Progress, "add", add_and_signal)
        runner.train(run, log=lambda line: None)
    return counted


def outcome(workdir, step=80):
    """Lines of metrics but for their timing, and hashes of the checkpoint's leaves."""
    rows = rundir.read_lines(workdir / rundir.METRICS)
    timing = {"updates_per_second", "seconds"}
    lines = [{k: v for k, v in row.items() if k not in timing} for row in rows]
    (meta,) = (workdir / "checkpoints" / str(step) / "meta").glob("metadata*")
    content = rundir.read_json(meta)
    return lines, content["leaves"], content.get("rest_leaves")


def test_an_interrupt_amid_a_line_changes_neither_lines_nor_state(
    make_run, monkeypatch
):
    whole, cut = make_run("whole"), make_run("cut")
    assert train(whole, monkeypatch, 40) == [40, 40]
    with pytest.raises(interrupt.Interrupted) as raised:
        train(cut, monkeypatch, 8, stop_at=24)
    assert raised.value.exit_code == 143
    assert not rundir.read_lines(cut.workdir / rundir.METRICS)
    with pytest.raises(interrupt.Interrupted):  # other cuts, and another interrupt
        train(cut, monkeypatch, 10, stop_at=26)
    assert train(cut, monkeypatch, 10) == [10, 10, 10]
    expected, *expected_leaves = outcome(whole.workdir)
    lines, *leaves = outcome(cut.workdir)
    assert leaves == expected_leaves
    assert [(row["step"], row["seed"]) for row in lines] == [
        *((40, 0), (40, 1), (80, 0), (80, 1))
    ]
    assert lines == expected


def test_a_line_is_the_mean_over_its_updates(make_run, monkeypatch):
    run = make_run("run")
    kept = []
    loop_run = loop.run

    def recorded(*args, **kwargs):
        for chunk in loop_run(*args, **kwargs):
            kept.append(jax.device_get(chunk.metrics))
            yield chunk

    monkeypatch.setattr(loop, "run", recorded)
    train(run, monkeypatch, 8)
    rows = rundir.read_lines(run.workdir / rundir.METRICS)
    (name,) = [n for n in rows[0] if n.endswith("/loss")] or ["actor/nll"]
    values = np.concatenate([chunk[name] for chunk in kept], axis=1)
    assert values.shape == (2, 80)
    for row in rows:
        lines = values[row["seed"], row["step"] - 40 : row["step"]]
        np.testing.assert_allclose(row[name], lines.mean(dtype=float), rtol=1e-7)


def fail_once(patch, at):
    """The environment fails while steps from ``at`` on are collected."""
    collect = collecting.Collector.collect

    def failing(self, act, length, step):
        seen = collect(self, act, length, step)
        if step == at:
            raise errors.UserError("environment Broken-v0: step failed; mend it")
        return seen

    patch.setattr(collecting.Collector, "collect", failing)
    patch.setattr(pacing.Pace, "may_last", lambda *_: False)  # nothing else is saved


def test_what_ends_a_run_online_changes_neither_lines_nor_state(make_run, monkeypatch):
    train(make_run("whole", "rebrac"), monkeypatch, 40)
    options = run_record.OnlineOptions(num_steps=70)
    whole, cut = (make_run(name, "rebrac", online=options) for name in ("whole", "cut"))
    shutil.copytree(whole.workdir, cut.workdir)
    assert train(whole, monkeypatch, 40) == [20, 20, 20, 10]
    with (
        monkeypatch.context() as patch,
        pytest.raises(errors.UserError, match="Broken"),
    ):
        fail_once(patch, 21)
        train(cut, monkeypatch, 40)
    with pytest.raises(interrupt.Interrupted):
        train(cut, monkeypatch, 40, stop_at=20)
    assert train(cut, monkeypatch, 40) == [20, 10]
    for folder in (whole.workdir, cut.workdir):
        assert rundir.read_json(folder / "online" / rundir.SUMMARY)["steps"] == 150
    expected = outcome(whole.workdir / "online", 150)
    assert outcome(cut.workdir / "online", 150) == expected
    assert expected[2] and {row["phase"] for row in expected[0]} == {"online"}
    trained = policy.load(cut.workdir / "online")
    assert trained.step == 150 and policy.load(cut.workdir).step == 80


def test_more_steps_online_go_on_as_if_asked_for_at_once(make_run, monkeypatch):
    train(make_run("once", "rebrac"), monkeypatch, 40)
    few, many = (run_record.OnlineOptions(num_steps=n) for n in (40, 120))
    once = make_run("once", "rebrac", online=many)
    twice = make_run("twice", "rebrac", online=few)
    shutil.copytree(once.workdir, twice.workdir)
    assert train(once, monkeypatch, 40) == [20] * 6
    assert train(twice, monkeypatch, 40) == [20] * 2
    more = dataclasses.replace(twice, online=many)
    with pytest.raises(interrupt.Interrupted):
        train(more, monkeypatch, 40, stop_at=20)
    folder = twice.workdir / "online"
    assert not (folder / rundir.SUMMARY).exists()
    # Also what was saved when they were to be fewer.
    assert [policy.load(folder, step).step for step in (None, 120)] == [140, 120]
    assert train(more, monkeypatch, 40) == [20] * 3
    assert outcome(folder, 200) == outcome(once.workdir / "online", 200)
    assert rundir.read_json(folder / rundir.SUMMARY)["online_steps"] == 120
    with pytest.raises(errors.UserError, match="online.num_steps=120, not 40"):
        train(twice, monkeypatch, 40)


def test_a_run_whose_rewards_told_its_steps_goes_online(make_run, monkeypatch):
    told = presets.DataOptions(num_transitions=20_000, n_step=0)
    run = dataclasses.replace(make_run("told", "td3_bc"), data=told)
    train(run, monkeypatch, 40)
    online = run_record.OnlineOptions(num_steps=40)
    train(dataclasses.replace(run, online=online), monkeypatch, 40)
    folders = run.workdir, run.workdir / "online"
    spanned = [rundir.read_json(f / rundir.DATASET)["n_step"] for f in folders]
    assert spanned == [10, 1]


def test_what_cannot_go_online_is_said_before_training(make_run):
    options = run_record.OnlineOptions(num_steps=80)
    run = make_run("bc", online=options)
    with pytest.raises(errors.UserError, match="bc learns from recorded data only"):
        runner.train(run, log=lambda line: None)
    spanning = presets.DataOptions(num_transitions=20_000, n_step=3)
    run = dataclasses.replace(
        make_run("td3_bc", "td3_bc", online=options), data=spanning
    )
    with pytest.raises(errors.UserError, match="--n_step=3 is not for --online_steps"):
        runner.train(run, log=lambda line: None)
    assert not list(run.workdir.parent.glob("*/checkpoints"))


@pytest.mark.parametrize("wrong", [dict(num_steps=0), dict(num_steps=9, share=1.5)])
def test_online_options_that_cannot_be_meant(wrong):
    with pytest.raises(errors.UserError, match="online"):
        run_record.OnlineOptions(**wrong)


def test_a_setting_that_a_run_did_not_know_stands_at_its_default(tmp_path):
    config = dataclasses.asdict(configs.get_config("bc", TASK, "smoke"))
    older = {name: v for name, v in config.items() if name != "normalize_observations"}
    saved = {"env": TASK.name, "config": older}
    rundir.write_json(tmp_path / rundir.CONFIG, {"identity": saved})
    record = {"algo": "bc", "identity": {**saved, "config": config}}
    known = run_record.check_identity(tmp_path, record)
    assert known == rundir.read_json(tmp_path / rundir.CONFIG)["identity"]
    other = {**config, "normalize_observations": not config["normalize_observations"]}
    record["identity"]["config"] = other
    with pytest.raises(errors.UserError, match="config.normalize_observations"):
        run_record.check_identity(tmp_path, record)


def test_a_key_that_a_task_of_ones_own_did_not_know_stands_at_its_default(tmp_path):
    own = tasks.Task(name="mine", observation_size=3, action_size=2, horizon=5)
    fields = json.loads(json.dumps(task_file.fields(own)))
    older = {name: value for name, value in fields.items() if name != "scored_by"}
    config = dataclasses.asdict(configs.get_config("bc", own, "smoke"))
    saved = {"env": "mine", "task": older, "config": config}
    rundir.write_json(tmp_path / rundir.CONFIG, {"identity": saved})
    record = {"algo": "bc", "identity": {**saved, "task": fields}}
    run_record.check_identity(tmp_path, record)
    fields["scored_by"] = "success"
    with pytest.raises(errors.UserError, match="task.scored_by='return', not 'succ"):
        run_record.check_identity(tmp_path, record)


@pytest.mark.parametrize(
    ("algo", "told"),
    [("iql", 10), ("bc", 1)],  # which has no targets
)
def test_rewards_tell_how_many_steps_targets_span(make_run, algo, told):
    rewards = np.repeat([0.0, 1.0], 20).astype(np.float32)
    transitions = Transition(
        *(rewards[:, None], rewards[:, None], rewards, rewards[:, None], rewards),
        extras={"episode": np.zeros(40, np.int32)},
    )
    data = presets.DataOptions(n_step=0)
    run = dataclasses.replace(make_run(algo, algo), data=data)
    spec = EnvSpec(TASK.observation_size, TASK.action_size, TASK.horizon)
    algorithm = algorithms.make(algo, run.config, spec)
    said = []
    run = steps_of_targets.told(run, algorithm, transitions, said.append)
    assert run.data.n_step == told
    rewards_told = ["targets span 10 step(s), as the rewards tell"]
    assert said == (rewards_told if algo == "iql" else [])
    assert steps_of_targets.told(run, algorithm, transitions, said.append) is run
