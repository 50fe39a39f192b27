"""What is told of a dataset without a task, and the task file that says it."""

from __future__ import annotations

import dataclasses
import json
import sys
import tomllib

import h5py
import layout_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import (
    description,
    minari,
    task_file,
    task_text,
    tasks,
    telling,
    validate,
)
from gem_jax.utils import memory


@pytest.fixture(autouse=True)
def nothing_told():
    """Datasets of one id differ between tests."""
    tasks._told.cache_clear()


def _describe(source, **options):
    return description.of_source(source, log=lambda line: None, **options)


def _toml(source, **options):
    told, _, provenance = _describe(source, **options)
    text = task_text.to_toml(told, provenance)
    return tomllib.loads(text), text


def test_a_log(tmp_path):
    path = tmp_path / 'my "Log" 3.csv'
    layout_files.log(path)
    content, text = _toml(f"file:{path}")
    actions = np.concatenate([e.actions for e in layout_files.recorded()])
    np.testing.assert_allclose(content.pop("action_low"), actions.min(axis=0))
    np.testing.assert_allclose(content.pop("action_high"), actions.max(axis=0))
    assert content == {
        "name": "my-log-3",
        "observation_size": 4,
        "action_size": 2,
        "horizon": 6,  # with the row of the last observation, which is no transition
        "source": f"file:{path}",
        "reward_transform": "identity",
    }
    assert "# bounds: the extremes of the data" in text
    assert "12 transitions in 3 episodes" in text and "training only" in text


@pytest.mark.parametrize("name", ["d4rl_hdf5", "ogbench", "robomimic"])
def test_layouts_whose_actions_are_normalized(tmp_path, name):
    layout_files.ALL[name](tmp_path / "a")
    content, text = _toml(f"file:{tmp_path / 'a'}")
    assert content["action_low"] == [-1.0, -1.0] and content["action_high"] == [1, 1]
    assert "as the layout means them" in text
    read = _describe(f"file:{tmp_path / 'a'}")[1]
    louder = [dataclasses.replace(e, actions=2 * e.actions) for e in read]
    told = description.of_episodes(louder, "a", "x", unit_actions=True)
    assert max(told.action_high) == pytest.approx(
        max(e.actions.max() for e in louder), rel=1e-6
    )


HORIZONS = {
    **{"d4rl_hdf5": 6, "d4rl_numpy": 6, "log": 6},  # with a row that is no transition
    **{"ogbench": 5, "ogbench_compact": 5, "robomimic": 5, "minari": 5},
    **{"robomimic_bare": 5, "log_with_successors": 5},
}


@pytest.mark.parametrize("name", HORIZONS)
def test_the_horizon_counts_the_steps_of_the_longest_episode(tmp_path, name):
    """Those that a reader leaves out too."""
    layout_files.ALL[name.removesuffix("_bare")](tmp_path / "a")
    if name == "robomimic_bare":  # whose last steps have no successor then
        with h5py.File(tmp_path / "a", "a") as file:
            for demonstration in file["data"].values():
                del demonstration["next_obs"]
    source = f"file:{tmp_path / 'a'}"
    assert _describe(source)[0].horizon == HORIZONS[name]
    # Of the second episode, the longest, two steps are left.
    assert _describe(source, num_transitions=6)[0].horizon == 4


def test_where_d4rls_successors_end_an_episode_no_step_is_left_out(tmp_path):
    arrays = layout_files.d4rl_arrays()
    found = layout_files.rows(with_last=False)
    with h5py.File(tmp_path / "a", "w") as file:
        for name, part in zip(arrays, ("obs", "act", "rew", "term")):
            file[name] = found[part]
        file["next_observations"] = found["next"]
    assert _describe(f"file:{tmp_path / 'a'}")[0].horizon == 5


def test_a_component_that_never_changes_is_told():
    first, *_ = layout_files.recorded()
    actions = first.actions.copy()
    actions[:, 1] = 0.1
    still = dataclasses.replace(first, actions=actions)
    told = description.of_episodes([still], "a", "x")
    assert (told.action_low[1], told.action_high[1]) == (-0.9, 1.1)
    assert "components [1] hardly change" in told.notes["action_low"]
    actions[:, 1] = np.nan
    with pytest.raises(errors.UserError, match="never finite"):
        description.of_episodes([still], "a", "x")


def _quiet(line):
    del line


def _acting(values):
    """An episode whose second action takes these values in turn."""
    first, *_ = layout_files.recorded()
    actions = first.actions.copy()
    actions[:, 1] = np.resize(np.float32(values), len(actions))
    return dataclasses.replace(first, actions=actions)


@pytest.mark.parametrize(
    "values",
    [
        *([0.0], [1e8], [-3e12], [9e14], [1e-30]),
        *([1e4, 1e4 + 0.01], [-1e8, -1e8 + 64], [1e6, 1e6 + 130], [1.5, 1.501]),
    ],
)
@pytest.mark.parametrize("unit_actions", [True, False])
def test_the_first_version_holds_its_own_data(values, unit_actions):
    """Also where float32 has hardly a number between the least and the largest."""
    episode = _acting(values)
    told = description.of_episodes([episode], "a", "x", unit_actions=unit_actions)
    origin = data.Provenance("a", "file", "x", "0" * 64, len(episode), 1)
    content = tomllib.loads(task_text.to_toml(told, origin))
    task = task_file.from_fields(content, "x")
    (kept,) = validate.check([episode], task, "x", _quiet)
    np.testing.assert_array_equal(kept.actions, episode.actions)


def test_actions_that_no_task_can_have_are_not_described():
    for value in (1e15, 1e20):
        with pytest.raises(errors.UserError, match="^x: actions reach .*rescale them"):
            description.of_episodes([_acting([value])], "a", "x")


def test_a_name_that_is_told_is_one_for_a_task(tmp_path):
    for stem, name in (
        ("hopper_medium-v2", "own-hopper-medium-v2"),  # the table has the other
        ("a..b", "a-b"),
        ("x" * 200, "x" * 90),
    ):
        layout_files.log(tmp_path / f"{stem}.csv")
        assert _describe(f"file:{tmp_path / stem}.csv")[0].name == name
    with pytest.raises(errors.UserError, match="choose another name"):
        _describe(f"file:{tmp_path / stem}.csv", name="hopper-medium-v2")


# Minari

ID = "my/robot-v0"


def _dataset(**metadata):
    folder = minari.data_folder(ID)
    folder.mkdir(parents=True, exist_ok=True)
    layout_files.minari(folder / minari.DATA_FILE)
    found = {"total_episodes": 3, "total_steps": 12, **metadata}
    (folder / minari.METADATA_FILE).write_text(json.dumps(found))
    return folder


def _box(low, high, shape=(2,), dtype="float32"):
    space = {"type": "Box", "dtype": dtype, "shape": list(shape)}
    return json.dumps({**space, "low": low, "high": high})


def test_a_minari_dataset(tmp_path):
    spec = {"id": "Pendulum-v1", "entry_point": "x:Y", "kwargs": {"g": 9.81}}
    folder = _dataset(
        action_space=_box([-2.0, -3.0], [2.0, 3.0]),
        observation_space=_box(-np.inf, np.inf, (4,)),
        env_spec=json.dumps(spec),
        ref_min_score=-5,
        ref_max_score=7.5,
    )
    for source in (f"minari:{ID}", f"file:{folder / minari.DATA_FILE}"):
        content, text = _toml(source, name="arm")
        assert content == {
            "name": "arm",
            "env_id": "Pendulum-v1",
            "observation_size": 4,
            "action_size": 2,
            "action_low": [-2.0, -3.0],
            "action_high": [2.0, 3.0],
            "horizon": 5,
            "source": source,
            "reward_transform": "identity",
            "min_score": -5.0,
            "max_score": 7.5,
        }
        assert "it was made with {'g': 9.81}" in text
    told, _, provenance = _describe(f"minari:{ID}", bounds="data", num_transitions=3)
    assert told.name == "my-robot-v0" and max(told.action_high) < 1
    assert (provenance.num_transitions, provenance.env) == (3, "my-robot-v0")


def test_a_minari_id_names_its_own_task():
    """By the same id in ``--env``: told from the data, which are then its source."""
    _dataset(action_space=_box([-2.0, -3.0], [2.0, 3.0]))
    task = tasks.get(f"minari:{ID}")
    assert (task.name, task.source) == ("my-robot-v0", f"minari:{ID}")
    assert task.action_high == (2.0, 3.0) and task.env_id is None
    dataset = data.load(f"minari:{ID}", log=lambda line: None)
    raw = np.concatenate([e.actions for e in layout_files.recorded()])
    np.testing.assert_allclose(
        dataset.transitions.action, raw / np.float32([2.0, 3.0]), rtol=1e-6
    )


def test_the_task_of_an_id_is_that_of_its_file_and_the_data_are_read_once(monkeypatch):
    _dataset(env_spec=json.dumps({"id": "Pendulum-v1"}), ref_min_score=0)
    reads = []
    read = minari._read_episode

    def noted(*arguments):
        reads.append(arguments)
        return read(*arguments)

    monkeypatch.setattr(minari, "_read_episode", noted)
    source = f"minari:{ID}"
    task = tasks.get(source)
    assert not reads
    part = data.load(source, num_transitions=3, log=_quiet)
    assert len(reads) == 1 and len(part.transitions.reward) == 3
    assert task.horizon == 5  # of all data, whatever part is asked for
    assert task == description.to_task(_describe(source)[0])


def test_an_id_of_what_does_not_fit_still_names_a_task(monkeypatch):
    _dataset()
    monkeypatch.setattr(memory, "free_bytes", lambda: 800)
    with pytest.raises(errors.UserError, match="--num_transitions=5 or less"):
        data.load(f"minari:{ID}", log=_quiet)
    part = data.load(f"minari:{ID}", num_transitions=5, log=_quiet)
    assert len(part.transitions.reward) == 5


EVIL = {"id": "Evil-v0", "entry_point": "evil_module:run"}


@pytest.mark.parametrize(
    "spec", [EVIL, {"id": "evil_module:Evil-v0"}, {"id": ["Hopper-v4"]}]
)
def test_a_dataset_names_no_code(tmp_path, monkeypatch, spec):
    trap = tmp_path / "sprung"
    (tmp_path / "evil_module.py").write_text(
        f"import pathlib; pathlib.Path({str(trap)!r}).touch()\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    _dataset(env_spec=json.dumps(spec))
    with pytest.raises(errors.UserError, match="not known and not run") as caught:
        _describe(f"minari:{ID}")
    assert "--env_id=none" in str(caught.value) and "\n" not in str(caught.value)
    assert _describe(f"minari:{ID}", env_id="none")[0].env_id is None
    assert _describe(f"minari:{ID}", env_id="Mine-v1")[0].env_id == "Mine-v1"
    assert not trap.exists() and "evil_module" not in sys.modules


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"action_space": _box([-np.inf, -1], [1, 1])}, "--bounds=data takes"),
        ({"action_space": _box([-1, 1], [1, 1])}, "--bounds=data takes"),
        ({"action_space": _box([-1, -1], [1, 1e16])}, "--bounds=data takes"),
        ({"action_space": _box(-1, 1, (3,))}, "--bounds=data takes"),
        ({"action_space": '{"type": "Discrete", "n": 3}'}, "action space is Discrete"),
        ({"action_space": '{"type": "Text"}'}, "is Text; only flat"),
        ({"action_space": "{"}, "action space cannot be read"),
        ({"action_space": '{"type": "Box"}'}, "action space cannot be read"),
        ({"action_space": _box([-1.0], [1.0])}, "1 bounds for 2 components"),
        (
            {"observation_space": _box(0, 255, (64, 64, 3), "uint8")},
            r"its observation space holds images or the like, \(64, 64, 3\) uint8",
        ),
    ],
)
def test_spaces_that_are_refused(metadata, message):
    _dataset(**metadata)
    with pytest.raises(errors.UserError, match=message) as caught:
        _describe(f"minari:{ID}")
    assert "\n" not in str(caught.value)


def test_the_datas_extremes_stand_in_for_infinite_bounds():
    _dataset(action_space=_box([-np.inf, -1], [1, 1]))
    told, *_ = _describe(f"minari:{ID}", bounds="data")
    assert np.isfinite(told.action_low).all()


@pytest.mark.parametrize(
    ("dataset_id", "env"),
    [
        ("gem-jax/cube-single-play-v0/local-s0-n12-v1", "cube-single-play-singletask"),
        ("renamed-v0", "NAME"),
    ],
)
def test_ogbenchs_local_sets_have_no_rewards_of_their_own(dataset_id, env):
    folder = _dataset(dataset_id=dataset_id, recipe={"name": "ogbench_arm"})
    path = folder / minari.DATA_FILE
    own = tasks.Task(name="own", observation_size=4, action_size=2, horizon=5)
    for use in (
        lambda: tasks.get(f"minari:{ID}"),
        lambda: _describe(f"minari:{ID}"),
        lambda: _describe(f"file:{path}"),
        lambda: data.load(own, f"minari:{ID}", log=_quiet),
        lambda: data.load(own, f"file:{path}", log=_quiet),
    ):
        with pytest.raises(errors.UserError, match=f"no rewards: .*--env={env}"):
            use()
    point = tasks.get("pointmaze-large-navigate-singletask-v0")
    assert len(minari.read(ID, point)[0]) == 3  # and then its rewards


LOUDER = _box([-0.1, -1.0], [0.1, 1.0])  # than that are the data's first actions


def test_a_space_that_the_data_exceed_is_widened_to_them():
    _dataset(action_space=LOUDER)
    told, recorded, _ = _describe(f"minari:{ID}")
    actions = np.concatenate([e.actions for e in recorded])
    low, high = actions.min(axis=0), actions.max(axis=0)
    assert told.action_low == (pytest.approx(low[0]), -1.0)
    assert told.action_high == (pytest.approx(high[0]), 1.0)
    assert "components [0] of the data lie outside" in told.notes["action_low"]
    validate.check(recorded, description.to_task(told), "x", _quiet)


def test_an_environments_bounds_stay_its_own():
    _dataset(action_space=LOUDER, env_spec=json.dumps({"id": "Pendulum-v1"}))
    told, *_ = _describe(f"minari:{ID}")
    assert (told.action_low, told.action_high) == ((-0.1, -1.0), (0.1, 1.0))
    note = told.notes["action_low"]
    assert "[0] of the data lie outside: train with --repair=clip_actions" in note


def test_reference_scores_that_are_none_are_left_out():
    _dataset(ref_min_score=3.0, ref_max_score=3.0)
    content, _ = _toml(f"minari:{ID}")
    assert "min_score" not in content and "max_score" not in content


def test_known_environments_are_gymnasiums():
    from gem_jax import envs

    envs.register_all()
    for name in telling._KNOWN:
        assert name in envs.gymnasium.registry, name


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("auto", "name file:PATH or minari:ID"),
        ("file:", "name file:PATH or minari:ID"),
        ("minari", "name file:PATH or minari:ID"),
        ("minari:../x-v0", "is no Minari id"),
        ("minari:/etc/x-v0", "is no Minari id"),
        (
            "minari:D4RL/antmaze/umaze-v1",
            "port of antmaze-umaze-v2.*own; use --env=antm",
        ),
        ("minari:D4RL/pointmaze/medium-v2", "port of maze2d-medium-v1 and"),
        ("minari:D4RL/pointmaze/open-v2", "port of a maze and cannot.*--env=NAME"),
        ("file:/nowhere.hdf5", "no such file"),
    ],
)
def test_sources_that_are_refused(source, message):
    with pytest.raises(errors.UserError, match=message) as caught:
        _describe(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b"])
def test_names_that_are_refused(name):
    _dataset()
    with pytest.raises(errors.UserError, match="^x: name = .*write up to 100"):
        description.of_episodes(layout_files.recorded(), name, "x")


def test_nothing_to_tell(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for key, width in (("observations", 4), ("actions", 2)):
            file[key] = np.zeros((0, width))
        file["rewards"] = file["terminals"] = np.zeros(0)
    with pytest.raises(errors.UserError, match="holds no transitions"):
        _describe(f"file:{tmp_path / 'a.hdf5'}")


def test_a_task_that_is_told_has_no_scores():
    told = description.of_episodes(layout_files.recorded(), "a", "x")
    task = description.to_task(told)
    assert (task.observation_size, task.action_size, task.horizon) == (4, 2, 5)
    assert task.normalized_score(3.0) is None and task.name not in tasks.table()
    known = dataclasses.replace(told, min_score=1.0, max_score=3.0)
    assert description.to_task(known).normalized_score(2.0) == 50.0
