from __future__ import annotations

import dataclasses
import json

import gymnasium
import h5py
import minari as farama
import numpy as np
import pytest
from minari.data_collector import EpisodeBuffer

from gem_jax import errors
from gem_jax.data import description, episodes, minari, ports, tasks
from gem_jax.data.local import writer
from gem_jax.utils import memory

MAZE = tasks.get("maze2d-umaze-v1")
ANT = tasks.get("antmaze-umaze-v2")
OWN = tasks.Task(name="my-ant", observation_size=29, action_size=8, horizon=5)
ID = "test/points-v0"


def _episode(steps, task=MAZE, seed=0, infos=None):
    rng = np.random.default_rng(seed)
    return episodes.Episode(
        observations=rng.normal(size=(steps + 1, task.observation_size)),
        actions=rng.uniform(-1, 1, (steps, task.action_size)),
        rewards=rng.integers(0, 2, steps).astype(np.float64),
        terminations=rng.random(steps) < 0.3,
        truncations=np.arange(steps) == steps - 1,
        infos=infos or {},
    )


def _write(found, task=MAZE):
    """Our own writer's dataset, sealed."""
    writer.write_namespaces(ID)
    folder = minari.data_folder(ID)
    folder.mkdir(parents=True)
    counts = writer.write_episodes(folder / minari.DATA_FILE, [found])
    recipe = {"name": "test", "version": 1, "seed": 0, "num_transitions": counts[1]}
    writer.write_metadata(folder, ID, task, counts, recipe)
    return folder


def _assert_same(ours, theirs):
    for field in ("observations", "actions", "rewards"):
        pair = (getattr(e, field).astype(np.float32) for e in (ours, theirs))
        np.testing.assert_array_equal(*pair)
    np.testing.assert_array_equal(ours.terminations, theirs.terminations)
    np.testing.assert_array_equal(ours.truncations, theirs.truncations)


def _farama_dataset(buffers, observation_space, action_size):
    farama.create_dataset_from_buffers(
        dataset_id=ID,
        buffer=buffers,
        observation_space=observation_space,
        action_space=gymnasium.spaces.Box(-1, 1, (action_size,), np.float32),
        algorithm_name="test",
        author="test",
        author_email="test",
        code_permalink="test",
        description="test",
    )


def _box(size):
    return gymnasium.spaces.Box(-np.inf, np.inf, (size,), np.float64)


@pytest.mark.filterwarnings("ignore")
def test_reads_what_minari_wrote():
    found = [_episode(3), _episode(12, seed=1)]
    buffers = [
        EpisodeBuffer(
            observations=e.observations,
            actions=e.actions,
            rewards=e.rewards,
            terminations=e.terminations,
            truncations=e.truncations,
        )
        for e in found
    ]
    _farama_dataset(buffers, _box(4), 2)
    read, sha256 = minari.read(ID, MAZE)
    assert len(read) == 2 and len(sha256) == 64
    for ours, theirs in zip(read, found, strict=True):
        _assert_same(ours, theirs)


DICT = {"position": 2, "body": 27}


def _dict_dataset(space=None, **parts):
    """As Minari stores environments with Dict observations; four steps of an ant."""
    rng = np.random.default_rng(0)
    observations = {name: rng.normal(size=(5, size)) for name, size in parts.items()}
    buffer = EpisodeBuffer(
        observations=observations,
        actions=np.zeros((4, 8)),
        rewards=np.zeros(4),
        terminations=np.zeros(4, bool),
        truncations=np.arange(4) == 3,
    )
    spaces = {name: _box(size) for name, size in parts.items()}
    _farama_dataset([buffer], space or gymnasium.spaces.Dict(spaces), 8)
    return observations


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("task", [ANT, tasks.get("hopper-medium-v2")])
def test_each_episodes_own_goal_is_refused(task):
    _dict_dataset(observation=27, achieved_goal=2, desired_goal=2)
    with pytest.raises(errors.UserError, match="a goal of its own") as caught:
        minari.read(ID, task)
    assert "--source=d4rl or --source=local" in str(caught.value)


@pytest.mark.filterwarnings("ignore")
def test_dict_observations_are_not_those_of_a_task_in_the_table():
    _dict_dataset(**DICT)
    with pytest.raises(errors.UserError, match=r"several parts \(body, position\)"):
        minari.read(ID, ANT)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("as_given", [dict, lambda parts: list(parts.items())])
def test_dict_observations_are_joined_as_gymnasium_flattens_them(as_given):
    """A plain mapping in the order of its names, pairs in their own."""
    space = gymnasium.spaces.Dict(as_given({k: _box(n) for k, n in DICT.items()}))
    buffer = _dict_dataset(space, **DICT)
    rows = [
        gymnasium.spaces.flatten(space, {k: v[i] for k, v in buffer.items()})
        for i in range(5)
    ]
    for task in (OWN, None):
        (found,), _ = minari.read(ID, task)
        np.testing.assert_array_equal(found.observations, np.float32(rows))
    assert [size for size, _ in minari.skim(ID)] == [29]
    told = description.of_minari(ID)
    assert (told.observation_size, told.action_size) == (29, 8)


@pytest.mark.filterwarnings("ignore")
def test_parts_that_are_no_rows_of_numbers_are_refused():
    counts = gymnasium.spaces.MultiDiscrete([3, 3])
    _dict_dataset(gymnasium.spaces.Dict({"body": _box(27), "z": counts}), body=27, z=2)
    with pytest.raises(errors.UserError, match="no rows of numbers 'z'.*among body$"):
        minari.read(ID, OWN)


@pytest.mark.filterwarnings("ignore")
def test_tuples_are_refused():
    folder = _write([_episode(5)])
    with h5py.File(folder / minari.DATA_FILE, "a") as file:
        del file["episode_0/observations"]
        for i in range(2):
            file[f"episode_0/observations/_index_{i}"] = np.zeros((6, 2))
    (folder / minari.SEAL_FILE).unlink()
    with pytest.raises(errors.UserError, match="of several parts .*Tuple"):
        minari.read(ID, None)


@pytest.mark.filterwarnings("ignore")
def test_keys_choose_and_order_the_parts_of_a_dict():
    buffer = _dict_dataset(observation=27, achieved_goal=2, desired_goal=2)
    keys = ("observation", "desired_goal")
    (found,), _ = minari.read(ID, dataclasses.replace(OWN, observation_keys=keys))
    expected = np.concatenate([buffer[key] for key in keys], axis=1)
    np.testing.assert_array_equal(found.observations, np.float32(expected))
    with pytest.raises(errors.UserError, match="a goal of its own"):
        minari.read(ID, OWN)
    absent = dataclasses.replace(OWN, observation_keys=("observation", "goal"))
    with pytest.raises(errors.UserError, match="no rows of numbers 'goal'") as e:
        minari.read(ID, absent)
    assert str(e.value).endswith("among achieved_goal, desired_goal, observation")


@pytest.mark.filterwarnings("ignore")
def test_parts_of_parts_are_refused():
    _dict_dataset(body=27)
    path = minari.data_folder(ID) / minari.DATA_FILE
    with h5py.File(path, "a") as file:
        file["episode_0/observations/goals/near"] = np.zeros((5, 2))
    (found,), _ = minari.read(ID, dataclasses.replace(OWN, observation_keys=("body",)))
    assert found.observations.shape == (5, 27)
    with pytest.raises(errors.UserError, match="no rows of numbers 'goals'"):
        minari.read(ID, OWN)


def test_the_environment_of_a_dataset():
    folder = _write([_episode(5)])
    assert minari.environment(ID) is None
    for spec in (None, 3, "{", "[]", "{}"):
        _edit_metadata(folder, env_spec=spec)
        assert minari.environment(ID) is None
    _edit_metadata(folder, env_spec=json.dumps({"id": "Hopper-v5"}))
    assert minari.environment(ID) == "Hopper-v5"


def test_minari_reads_what_we_wrote():
    infos = {"goal": np.ones((3, 2), np.float32), "policy": np.array([0, 1, 1])}
    found = [_episode(3, infos=infos), _episode(12, seed=1)]
    _write(found)
    dataset = farama.load_dataset(ID)
    assert (dataset.total_episodes, dataset.total_steps) == (2, 15)
    assert dataset.observation_space.shape == (4,)
    for ours, theirs in zip(found, dataset, strict=True):
        _assert_same(theirs, ours)
    np.testing.assert_array_equal(dataset[0].infos["goal"], infos["goal"])
    assert ID in farama.list_local_datasets()
    (first, _), _ = minari.read(ID, MAZE)
    np.testing.assert_array_equal(first.infos["policy"], infos["policy"])


@pytest.mark.parametrize(
    "dataset_id",
    ["../x-v0", "/etc/x-v0", "a/../../x-v0", "a//b-v0", "a/b", "a b-v0", "", "a/-v0\n"],
)
def test_bad_ids(dataset_id):
    with pytest.raises(errors.UserError, match="no Minari id"):
        minari.read(dataset_id, MAZE)


def test_absent():
    with pytest.raises(errors.UserError, match="minari download test/points-v0"):
        minari.read(ID, MAZE)


def test_a_flipped_bit():
    folder = _write([_episode(50)])
    path = folder / minari.DATA_FILE
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(errors.UserError, match="damaged: SHA-256"):
        minari.read(ID, MAZE)


@pytest.mark.parametrize("size", [0, 100, 3000])
def test_truncated_data_of_others(size):
    folder = _write([_episode(50)])
    (folder / minari.SEAL_FILE).unlink()  # others store no hash
    path = folder / minari.DATA_FILE
    path.write_bytes(path.read_bytes()[:size])
    with pytest.raises(errors.UserError, match=f"{size:,} bytes"):
        minari.read(ID, MAZE)


@pytest.mark.parametrize("content", ["", "{", "[]"])
def test_bad_metadata(content):
    folder = _write([_episode(5)])
    (folder / minari.METADATA_FILE).write_text(content)
    with pytest.raises(errors.UserError, match=r"metadata\.json"):
        minari.read(ID, MAZE)


def _edit_metadata(folder, **changes):
    path = folder / minari.METADATA_FILE
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def test_counts_must_agree():
    _edit_metadata(_write([_episode(5)]), total_steps=6)
    with pytest.raises(errors.UserError, match=r"5 steps but.*promise 1 and 6"):
        minari.read(ID, MAZE)


def test_metadata_do_not_get_round_the_limit_of_memory(monkeypatch):
    folder = _write([_episode(50), _episode(60)])
    monkeypatch.setattr(memory, "free_bytes", lambda: 10_000)
    for promised in (1, -5, None, "110", 10**30):
        _edit_metadata(folder, total_steps=promised)
        with pytest.raises(errors.UserError, match="110 steps take about 0.0 GB"):
            minari.read(ID, MAZE)
        assert len(minari.read(ID, MAZE, limit=50)[0]) == 1


def test_other_format():
    _edit_metadata(_write([_episode(5)]), data_format="arrow")
    with pytest.raises(errors.UserError, match="'arrow'; only hdf5"):
        minari.read(ID, MAZE)


def test_environments_in_metadata_are_never_built():
    spec = {"id": "Evil-v0", "entry_point": "builtins:exit", "autoreset": False}
    _edit_metadata(_write([_episode(5)]), env_spec=json.dumps(spec))
    assert len(minari.read(ID, MAZE)[0]) == 1


@pytest.mark.parametrize("key", ["observations", "actions", "rewards", "truncations"])
def test_missing_array(key):
    folder = _write([_episode(5), _episode(6)])
    (folder / minari.SEAL_FILE).unlink()
    with h5py.File(folder / minari.DATA_FILE, "a") as file:
        del file[f"episode_1/{key}"]
    with pytest.raises(errors.UserError, match="episode_1 is damaged"):
        minari.read(ID, MAZE)


@pytest.mark.parametrize("stored", [np.float32(1.0), np.dtype("f4"), b"text"])
def test_no_array(stored):
    folder = _write([_episode(5), _episode(6)])
    (folder / minari.SEAL_FILE).unlink()
    for key in ("observations", "actions"):
        with h5py.File(folder / minari.DATA_FILE, "a") as file:
            del file[f"episode_1/{key}"]
            file[f"episode_1/{key}"] = stored
        with pytest.raises(errors.UserError, match="episode_1 is damaged; get it"):
            minari.read(ID, MAZE)


def test_a_damaged_episode_leaves_the_part_before_it_readable():
    folder = _write([_episode(5), _episode(6), _episode(7)])
    (folder / minari.SEAL_FILE).unlink()
    with h5py.File(folder / minari.DATA_FILE, "a") as file:
        del file["episode_2/actions"]
    assert len(minari.read(ID, MAZE, limit=11)[0]) == 2
    with pytest.raises(errors.UserError, match="episode_2 is damaged; get it"):
        minari.read(ID, MAZE, limit=12)


@pytest.mark.parametrize("key", ["observations", "actions"])
def test_skimming_names_a_first_episode_without_arrays(key):
    folder = _write([_episode(5), _episode(6)])
    with h5py.File(folder / minari.DATA_FILE, "a") as file:
        del file[f"episode_0/{key}"]
        file[f"episode_0/{key}"] = b"text"
    with pytest.raises(errors.UserError, match="episode_0 is damaged; get it"):
        next(minari.skim(ID))


def test_published_ids():
    assert ports.published_id(tasks.get("hopper-expert-v2")) == (
        "mujoco/hopper/expert-v0"
    )
    for task in (ANT, MAZE):
        with pytest.raises(errors.UserError, match="a goal of its own"):
            ports.published_id(task)


POINT = tasks.get("pointmaze-large-navigate-singletask-v0")


@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        (tasks.get("hopper-medium-replay-v2"), "--source=d4rl or --source=local"),
        (POINT, "--source=ogbench or --source=local"),
        (tasks.get("navigation-v0"), "or use --source=local"),
        (OWN, "or use --source=file:PATH"),
    ],
)
def test_where_no_counterpart_is_published_others_are_named(task, remedy):
    with pytest.raises(errors.UserError, match="no counterpart") as caught:
        ports.published_id(task)
    assert str(caught.value).endswith(remedy)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    ("task", "remedy"),
    [
        (POINT, f"{POINT.name} do not show; use --source=ogbench or --source=local"),
        (OWN, "join both in rows of numbers for --source=file:PATH"),
        (None, "join both in rows of numbers for --source=file:PATH"),
    ],
)
def test_what_holds_a_goal_apart_has_a_remedy_by_task(task, remedy):
    _dict_dataset(observation=27, achieved_goal=2, desired_goal=2)
    with pytest.raises(errors.UserError, match="a goal of its own") as caught:
        minari.read(ID, task)
    assert str(caught.value).endswith(remedy)


def test_a_home_in_the_folder_is_expanded(monkeypatch):
    monkeypatch.setenv("MINARI_DATASETS_PATH", "~/sets")
    monkeypatch.setenv("HOME", "/somewhere")
    assert str(minari.root()) == "/somewhere/sets"
