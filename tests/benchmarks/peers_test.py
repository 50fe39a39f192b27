"""The comparison with d3rlpy, but for d3rlpy: files, settings, policies, the table."""

import dataclasses
import json
import sys
import types

import d4rl_files
import h5py
import numpy as np
import pytest

from benchmarks.peers import comparison, layout, policies, settings, table
from gem_jax import errors
from gem_jax.data import episodes, transitions
from gem_jax.runs import resolve

ENV = "hopper-medium-v2"


def episode(seed, steps, ends):
    rng = np.random.default_rng(seed)
    last = np.arange(steps) == steps - 1
    return episodes.Episode(
        rng.normal(size=(steps + 1, 11)).astype(np.float32),
        rng.uniform(-1, 1, (steps, 3)).astype(np.float32),
        rng.normal(size=steps).astype(np.float32),
        last & (ends == "terminal"),
        last & (ends == "limit"),
        {"policy": np.full(steps, seed, np.int32)},
    )


# The data


@pytest.mark.parametrize("final", ["terminal", "limit", "nothing"])
def test_every_transition_is_read_back(tmp_path, final):
    recorded = [
        episode(1, 4, "limit"),
        episode(2, 3, "terminal"),
        episode(3, 0, "limit"),
        episode(4, 1, "limit"),
        episode(5, 2, final),
    ]
    layout.write(tmp_path / "data.hdf5", recorded)
    assert [path.name for path in tmp_path.glob("*")] == ["data.hdf5"]
    source = f"file:{tmp_path}/data.hdf5"
    found, _ = d4rl_files.load(ENV, source, reward_transform="identity")
    filled = [each for each in recorded if len(each)]
    wanted = transitions.flatten(filled)
    for name in wanted._fields[:-1]:
        np.testing.assert_array_equal(
            getattr(found.transitions, name), getattr(wanted, name), err_msg=name
        )
    np.testing.assert_array_equal(found.episode_offsets, [0, 4, 7, 8, 10])
    np.testing.assert_array_equal(found.policy, transitions.policies(filled))


def test_rows_are_those_that_d4rl_would_have(tmp_path):
    first, second = episode(1, 2, "limit"), episode(2, 2, "terminal")
    layout.write(tmp_path / "data.hdf5", [first, second, first])
    with h5py.File(tmp_path / "data.hdf5") as file:
        rows = {name: file[name][()] for name in file if name != "infos"}
    # Of two steps each: a row for what a time limit or the file's end leaves behind.
    np.testing.assert_array_equal(rows["timeouts"], [0, 0, 1, 0, 0, 0, 0, 1])
    np.testing.assert_array_equal(rows["terminals"], [0, 0, 0, 0, 1, 0, 0, 0])
    np.testing.assert_array_equal(rows["observations"][:3], first.observations)
    np.testing.assert_array_equal(rows["observations"][3:5], second.observations[:2])
    np.testing.assert_array_equal(rows["next_observations"][4], second.observations[2])
    np.testing.assert_array_equal(rows["actions"][2], first.actions[1])
    assert rows["rewards"][2] == 0.0 and rows["rewards"][1] == first.rewards[1]


# The settings


def settings_of(method, **changes):
    fixed = settings.PEERS[method].fixed
    run = resolve.resolve(ENV, method, "paper", config={**fixed, **changes})
    return run.config


def test_iql_is_told_ours():
    told = settings.translate("iql", settings_of("iql", beta=4.0, batch_size=64))
    assert told["config"] == "IQLConfig" and told["decaying"] == ["actor_optim_factory"]
    assert told["arguments"] == {
        "batch_size": 64,
        "gamma": 0.99,
        "tau": 0.001,  # hopper-medium's
        "n_critics": 2,
        "actor_learning_rate": 3e-4,
        "critic_learning_rate": 3e-4,
        "expectile": 0.7,
        "weight_temp": 4.0,
        "max_weight": 100.0,
    }
    plain = {"hidden_units": [256, 256], "use_layer_norm": False}
    names = ("actor", "critic", "value")
    assert told["encoders"] == {f"{name}_encoder_factory": plain for name in names}


def test_rebrac_s_penalties_and_norms_reach_their_sides():
    told = settings.translate("rebrac", settings_of("rebrac"))
    assert told["arguments"]["actor_beta"] == 0.01  # beta_1 of hopper-medium
    changed = settings_of("rebrac", actor_cloning=0.5, critic_cloning=0.25)
    arguments = settings.translate("rebrac", changed)["arguments"]
    assert (arguments["actor_beta"], arguments["critic_beta"]) == (0.5, 0.25)
    norms = {name: it["use_layer_norm"] for name, it in told["encoders"].items()}
    assert norms == {"actor_encoder_factory": False, "critic_encoder_factory": True}


# Of what d3rlpy's side does not learn from ``translate``: said elsewhere, fixed there,
# or without effect in what is compared.
ELSEWHERE = {"num_steps", "normalize_observations"}
WITHOUT = {"awac": {"max_weight"}, "cql": {"action_gap", "least_gap"}}
OTHER = {bool: lambda v: not v, int: lambda v: v + 1, float: lambda v: v / 2 + 0.07}


@pytest.mark.parametrize("method", settings.PEERS)
def test_no_setting_is_lost(method):
    config = settings_of(method)
    told = json.dumps(settings.translate(method, config))
    for field in dataclasses.fields(config):
        value = getattr(config, field.name)
        other = OTHER.get(type(value), lambda v: (*v, 7))(value)
        if field.name in settings.PEERS[method].fixed:
            # A setting that d3rlpy has not: others are refused.
            changed = types.SimpleNamespace(**vars(config) | {field.name: other})
            with pytest.raises(AssertionError):
                settings.translate(method, changed)
            continue
        changed = types.SimpleNamespace(**vars(config) | {field.name: other})
        same = json.dumps(settings.translate(method, changed)) == told
        silent = field.name in ELSEWHERE | WITHOUT.get(method, set())
        assert same == silent, field.name


# The policies


def write_policy(path, *, wrong=0.0, mean=0.0, std=1.0):
    """Weights and actions by arithmetic of its own; returns both."""
    rng = np.random.default_rng(0)
    sizes, arrays = (11, 5, 4, 3), {}
    observation = rng.normal(size=(6, 11)).astype(np.float32)
    x = (observation.astype(np.float64) - mean) / (std + 1e-3)
    for i in range(3):
        kernel = rng.normal(size=sizes[i : i + 2]).astype(np.float32)
        bias = rng.normal(size=sizes[i + 1]).astype(np.float32)
        arrays |= {f"kernel{i}": kernel, f"bias{i}": bias}
        x = x @ kernel + bias
        x = np.tanh(x) if i == 2 else x * (x > 0)
    np.savez(
        path,
        **arrays,
        probe_observation=observation,
        probe_action=x.astype(np.float32) + np.float32(wrong),
        seconds=np.array([3.0, 0.5, 0.5]),
        versions=np.str_("d3rlpy 0, torch 0"),
    )
    return observation, x


def told(observation):
    return {"env": ENV, "chunk": 100, "observation": observation}


def test_a_policy_acts_as_it_did_there(tmp_path):
    path = tmp_path / "policy.npz"
    observation, action = write_policy(path, mean=2.0, std=3.0)
    normal = {"mean": [2.0] * 11, "std": [3.0] * 11}
    found = policies.read(path, told(normal))
    seen = found.params.normalizer(observation[0])
    output = found.algorithm.act(found.params.params, None, seen, 0, ())
    np.testing.assert_allclose(output.action, action[0], atol=1e-5)
    assert found.updates_per_second == 200.0  # the median: the first chunk warms up
    with pytest.raises(errors.UserError, match="act otherwise than d3rlpy did"):
        policies.read(path, told(None))


def test_a_policy_of_raw_observations(tmp_path):
    write_policy(tmp_path / "raw.npz", mean=0.0, std=0.999)
    policies.read(tmp_path / "raw.npz", told(None))
    write_policy(tmp_path / "wrong.npz", wrong=0.01, std=0.999)
    with pytest.raises(errors.UserError, match=r"by 0\.01"):
        policies.read(tmp_path / "wrong.npz", told(None))


# The table


def test_the_table_says_who_reaches_whom():
    def row(method, library, seed, score, rate):
        return {
            "env": ENV,
            "method": method,
            "library": library,
            "seed": str(seed),
            "normalized_score": str(score),
            "updates_per_second": str(rate),
        }

    rows = [
        row("bc", "gem_jax", 0, 47.0, 300),
        row("bc", "d3rlpy", 0, 48.0, 100),
        row("iql", "gem_jax", 0, 10.0, 50),
        row("bc", "gem_jax", 1, 48.0, 300),  # measured later
        row("bc", "d3rlpy", 1, 50.0, 100),
        row("iql", "d3rlpy", 0, 20.0, 50),
        row("cql", "gem_jax", 0, 20.0, 50),  # whose peer is still to come
    ]
    text = table.format_table(rows)
    first, second = text.splitlines()[2:]
    # 47.5 is one below 49 - std, std = sqrt(2) with ddof = 1: 47.586.
    cells = [cell.strip() for cell in first.split("|")[2:-1]]
    assert cells == ["bc", "47.5 ± 0.7 (2)", "49.0 ± 1.4 (2)", "no", "300 / 100 = 3.0"]
    assert "| no " in second
    assert table.reaches([47.6], [48.0, 50.0]) and table.reaches([60.0], [48.0])


# The command

FAKE = """#!{python}
import argparse, json, pathlib
import numpy as np
parser = argparse.ArgumentParser()
for name in ("-m", "--settings", "--seed", "--output"):
    parser.add_argument(name)
flags = parser.parse_args()
assert flags.m == "benchmarks.peers.d3rlpy_train"
told = json.loads(pathlib.Path(flags.settings).read_text())
assert pathlib.Path(flags.settings).with_name(told["data"]).exists()
bias = np.full(3, float(flags.seed), np.float32)
np.savez(
    flags.output, kernel0=np.zeros((11, 3), np.float32), bias0=bias, versions="none",
    probe_observation=np.zeros((1, 11)), probe_action=np.tanh(bias)[None], seconds=[2],
)
with pathlib.Path("{calls}").open("a") as file:
    file.write(flags.seed)
"""


def test_a_comparison_continues_where_it_stopped(tmp_path, monkeypatch):
    monkeypatch.setattr(comparison, "CHUNK", 1)
    monkeypatch.setattr(comparison, "_TIMED", 1)
    d4rl_files.write(tmp_path / ENV / "data.hdf5", ENV, num=60)
    peer, calls = tmp_path / "python", tmp_path / "calls"
    peer.write_text(FAKE.format(python=sys.executable, calls=calls))
    peer.chmod(0o755)
    cell = comparison.make_cell(
        ENV,
        "bc",
        tmp_path / ENV / "data.hdf5",
        seeds=range(2),
        steps=2,
        batch_size=1,
        interpreter=str(peer),
        episodes=1,
    )
    scores = tmp_path / "scores.csv"
    comparison.complete(scores, cell)
    rows = comparison.read(scores, steps=2, episodes=1)
    assert [row["library"] + row["seed"] for row in rows] == [
        "gem_jax0",
        "d3rlpy0",
        "gem_jax1",
        "d3rlpy1",
    ]
    assert rows[1]["updates_per_second"] == "0.5"
    whole = scores.read_text()
    scores.write_text("".join(whole.splitlines(keepends=True)[:-1]))
    comparison.complete(scores, cell)
    assert comparison.read(scores, steps=2, episodes=1) == rows
    assert calls.read_text() == "01"  # nothing was trained again
    told = json.loads(cell.settings_file.read_text())
    assert told["ours"]["batch_size"] == 1 and len(told["observation"]["mean"]) == 11
    assert comparison.read(scores, steps=3, episodes=1) == []


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("exprt", f"--envs={ENV}"), "expected one command of export, compare, table"),
        (("export",), "give --envs=NAME,NAME"),
        (("export", "--envs=my/task.toml"), "my/task.toml is a task of your own, and"),
        (("export", "--envs=hoper-medium-v2"), "did you mean one of hopper-medium-v2"),
        (
            ("compare", f"--envs={ENV}", "--methods=gem"),
            "--methods='gem' has no peer; choose of bc,",
        ),
        (
            ("compare", f"--envs={ENV}", "--python=/no/python"),
            "--python=/no/python is no program; name the interpreter of",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_2(run_benchmark, words, named):
    result = run_benchmark("peers", *words)
    assert result.returncode == 2, result.stderr
    (line,) = [row for row in result.stderr.splitlines() if "error:" in row]
    assert named in line and "Traceback" not in result.stderr
