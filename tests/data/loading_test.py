from __future__ import annotations

import json

import d4rl_files
import h5py
import numpy as np
import pytest

from gem_jax import errors
from gem_jax.data import publishers

MAZE = "maze2d-umaze-v1"


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    """Port 9 of this machine refuses at once."""
    monkeypatch.setattr(publishers.D4RL, "url", "http://127.0.0.1:9/")


def test_file(tmp_path):
    arrays = d4rl_files.write(
        tmp_path / "a.hdf5", MAZE, **{"infos/policy": np.array([0] * 5 + [1] * 5)}
    )
    dataset, _ = d4rl_files.load(MAZE, tmp_path / "a.hdf5")
    assert dataset.provenance.id == str(tmp_path / "a.hdf5")
    kept = [0, 1, 2, 3, 5, 6, 7, 8]
    flat = dataset.transitions
    np.testing.assert_array_equal(
        flat.observation, arrays["observations"][kept].astype(np.float32)
    )
    np.testing.assert_array_equal(dataset.episode_offsets, [0, 4, 8])
    np.testing.assert_array_equal(dataset.episode_id, [0] * 4 + [1] * 4)
    np.testing.assert_array_equal(dataset.policy, [0] * 4 + [1] * 4)
    assert all(leaf.dtype == np.float32 for leaf in flat[:5])
    provenance = dataset.provenance.to_dict()
    assert list(provenance) == [
        "env",
        "source",
        "id",
        "sha256",
        "num_transitions",
        "num_episodes",
        "recipe",
        "repairs",
        "rewards",
        "best_share",
    ]
    assert (provenance["source"], provenance["num_transitions"]) == ("file", 8)


def test_rewards_that_are_nan_are_refused_before_the_best_are_chosen(tmp_path):
    rewards = np.where(np.arange(10) == 7, np.nan, 1.0)
    d4rl_files.write(tmp_path / "a.hdf5", MAZE, rewards=rewards)
    with pytest.raises(errors.UserError, match=r"rewards\[2\] is NaN or infinite"):
        d4rl_files.load(MAZE, f"file:{tmp_path / 'a.hdf5'}", best_share=0.1)


def test_leading_transitions(tmp_path):
    d4rl_files.write(tmp_path / "a.hdf5", MAZE)
    dataset, _ = d4rl_files.load(MAZE, f"file:{tmp_path / 'a.hdf5'}", num_transitions=6)
    np.testing.assert_array_equal(dataset.episode_offsets, [0, 4, 6])
    assert dataset.provenance.num_transitions == 6


def test_local():
    dataset, lines = d4rl_files.load(MAZE, "local", num_transitions=2_000)
    provenance = dataset.provenance
    assert provenance.source == "local" and "D4RL" not in provenance.id
    assert provenance.recipe["seed"] == 0 and len(provenance.sha256) == 64
    assert dataset.transitions.observation.shape == (2_000, 4)
    again, more = d4rl_files.load(MAZE, f"minari:{provenance.id}")
    np.testing.assert_array_equal(
        again.transitions.observation, dataset.transitions.observation
    )
    assert again.provenance.source == "minari" and len(lines) == 1
    assert more == [f"data: {MAZE}: {provenance.id}, made on this machine"]
    _, more = d4rl_files.load("maze2d-large-v1", f"minari:{provenance.id}")
    assert more[0].startswith("warning: ") and more[0].endswith(f" for {MAZE}")


@pytest.mark.parametrize(
    ("made_in", "line"),
    [
        (None, "data: NAME: Minari's mujoco/x-v0, not D4RL's data; evaluated in ENV"),
        (
            "HalfCheetah-v5",
            "data: NAME: Minari's mujoco/x-v0, not D4RL's data: other policies, made "
            "in HalfCheetah-v5, evaluated in ENV",
        ),
        (
            "Walker2d-v5",
            "warning: data: NAME: Minari's mujoco/x-v0, not D4RL's data: other "
            "policies, made in Walker2d-v5, evaluated in ENV, another environment",
        ),
    ],
)
def test_what_a_minari_dataset_is_to_the_task(minari_root, made_in, line):
    name, folder = "halfcheetah-medium-v2", minari_root / "mujoco/x-v0/data"
    steps = np.arange(5)
    d4rl_files.write(
        folder / "main_data.hdf5",
        name,
        **{
            "episode_0/observations": np.random.default_rng(0).normal(size=(6, 17)),
            "episode_0/actions": np.zeros((5, 6)),
            "episode_0/rewards": steps,
            "episode_0/terminations": steps < 0,
            "episode_0/truncations": steps == 4,
        },
    )
    with h5py.File(folder / "main_data.hdf5", "a") as file:
        for key in [key for key in file if key != "episode_0"]:
            del file[key]
    spec = json.dumps({"id": made_in}) if made_in else None
    metadata = {"total_episodes": 1, "total_steps": 5, "env_spec": spec}
    (folder / "metadata.json").write_text(json.dumps(metadata))
    _, lines = d4rl_files.load(name, "minari:mujoco/x-v0")
    assert lines == [line.replace("NAME", name).replace("ENV", "HalfCheetah-v4")]


def test_a_shuffled_file_trains_on_its_own_successors(tmp_path):
    rng = np.random.default_rng(0)
    walk = np.cumsum(rng.normal(size=(41, 4)), axis=0)
    order = rng.permutation(40)
    d4rl_files.write(
        tmp_path / "a.hdf5",
        MAZE,
        num=40,
        observations=walk[:-1][order],
        next_observations=walk[1:][order],
        timeouts=np.zeros(40, bool),
    )
    dataset, lines = d4rl_files.load(MAZE, f"file:{tmp_path / 'a.hdf5'}")
    flat = dataset.transitions
    np.testing.assert_array_equal(
        flat.next_observation, walk[1:][order][:-1].astype(np.float32)
    )
    np.testing.assert_array_equal(
        flat.observation, walk[:-1][order][:-1].astype(np.float32)
    )
    assert sum("next_observations" in line for line in lines) == 1


@pytest.mark.parametrize("key", ["observations", "next_observations", "rewards"])
def test_absurd_numbers_are_refused_at_load(tmp_path, key):
    rng = np.random.default_rng(0)
    array = rng.normal(size=(10, 4)) if key != "rewards" else np.zeros(10)
    array[2] = 1e30
    d4rl_files.write(tmp_path / "a.hdf5", MAZE, **{key: array})
    with pytest.raises(errors.UserError, match=r"episode \d: \w+\[\d.*is 1e\+30"):
        d4rl_files.load(MAZE, f"file:{tmp_path / 'a.hdf5'}")


def test_auto_takes_the_cached_original(d4rl_root):
    d4rl_files.write(d4rl_root / "maze2d-umaze-sparse-v1.hdf5", MAZE)
    dataset, lines = d4rl_files.load(MAZE, "auto")
    assert dataset.provenance.source == "d4rl" and "original, found" in lines[0]


def test_auto_falls_back_to_local_and_says_why():
    dataset, lines = d4rl_files.load(MAZE, "auto", num_transitions=2_000)
    assert dataset.provenance.source == "local"
    assert "not D4RL's own data (cannot reach" in lines[0]
    _, lines = d4rl_files.load(MAZE, "auto", num_transitions=2_000)
    assert "minutes ago" in lines[0] and len(lines) == 1


@pytest.mark.parametrize("source", ["", "D4RL", "local:x", "auto:x", "ftp:x"])
def test_unknown_source(source):
    with pytest.raises(errors.UserError, match="unknown --source"):
        d4rl_files.load(MAZE, source)


@pytest.mark.parametrize(
    ("name", "source", "message"),
    [
        ("maze2d-umase-v1", "auto", "did you mean one of maze2d-umaze-v1"),
        (MAZE, "file:", "lacks a path"),
        (MAZE, "file:/nowhere.hdf5", "no such file"),
        (MAZE, "minari", "a goal of its own"),
        ("hopper-medium-v2", "minari", "minari download mujoco/hopper/medium-v0"),
        (MAZE, "minari:../x-v0", "no Minari id"),
        ("hopper-random-v2", "minari", "no counterpart"),
        ("hopper-medium-v2", "d4rl", "cannot reach"),
    ],
)
def test_what_the_user_may_get_wrong(name, source, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        d4rl_files.load(name, source)
    assert "\n" not in str(caught.value)


def test_data_of_another_task(tmp_path):
    d4rl_files.write(tmp_path / "a.hdf5", "hopper-medium-v2")
    with pytest.raises(errors.UserError, match="maze2d-umaze-v1 needs"):
        d4rl_files.load(MAZE, f"file:{tmp_path / 'a.hdf5'}")


def test_repairs_are_made_and_recorded(tmp_path):
    actions = np.full((10, 2), 1.5)
    path = tmp_path / "a.hdf5"
    d4rl_files.write(path, MAZE, actions=actions)
    with pytest.raises(errors.UserError, match="outside"):
        d4rl_files.load(MAZE, f"file:{path}")
    dataset, lines = d4rl_files.load(MAZE, f"file:{path}", repair=["clip_actions"])
    assert "repair clip_actions: 8 of 8 transitions kept" in lines
    assert dataset.provenance.to_dict()["repairs"] == ("clip_actions",)
    assert np.all(dataset.transitions.action == 1.0)


@pytest.mark.parametrize(
    ("repair", "message"),
    [
        ("mend", "'mend'; choose of until_terminal"),
        ("until_terminal:", "'' is no number of steps"),
        ("until_terminal:-1", "'-1' is no number of steps"),
        ("until_terminal:1.5", "'1.5' is no number of steps"),
        ("until_terminal:9999999999", "is no number of steps"),
        ("clip_actions:3", "clip_actions takes no length"),
    ],
)
def test_bad_repairs_are_refused_before_anything_is_read(repair, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        d4rl_files.load(MAZE, "file:/nowhere.hdf5", repair=[repair])
    assert "\n" not in str(caught.value)


def test_bad_size():
    with pytest.raises(errors.UserError, match="at least 1"):
        d4rl_files.load(MAZE, "local", num_transitions=0)
