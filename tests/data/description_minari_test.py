"""What is told of Minari's datasets, and what is not believed of them."""

from __future__ import annotations

import json
import sys

import described
import layout_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import description, minari, tasks, telling_environment, validate
from gem_jax.utils import memory

ID = "my/robot-v0"


@pytest.fixture(autouse=True)
def nothing_told():
    """Datasets of one id differ between tests."""
    tasks._told.cache_clear()


def _quiet(line):
    del line


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
        content, text = described.toml(source, name="arm")
        assert content == {
            "name": "arm",
            "env_id": "Pendulum-v1",
            "env_kwargs": {"g": 9.81},
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
        assert "horizon: the longest episode of the data" in text
    told, _, provenance = described.describe(
        f"minari:{ID}", bounds="data", num_transitions=3
    )
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
    assert task == description.to_task(described.describe(source)[0])


def test_an_id_of_what_does_not_fit_still_names_a_task(monkeypatch):
    _dataset()
    monkeypatch.setattr(memory, "free_bytes", lambda: 800)
    with pytest.raises(errors.UserError, match="--num_transitions=5 or less"):
        data.load(f"minari:{ID}", log=_quiet)
    part = data.load(f"minari:{ID}", num_transitions=5, log=_quiet)
    assert len(part.transitions.reward) == 5


def test_the_environment_is_the_one_that_the_data_were_made_in():
    """By its own arguments and limit, so that reference scores mean its returns."""
    kwargs = {"g": 2.5, "ranges": [0, 1.5], "wrap": True, "render_mode": "human"}
    spec = {"id": "Pendulum-v1", "max_episode_steps": 150}
    _dataset(env_spec=json.dumps({**spec, "kwargs": {**kwargs, "other": None}}))
    content, text = described.toml(f"minari:{ID}")
    assert content["env_kwargs"] == {"g": 2.5, "ranges": [0, 1.5], "wrap": True}
    assert content["horizon"] == 150 and "horizon: the limit of the environ" in text
    task = tasks.get(f"minari:{ID}")
    assert (task.env_kwargs, task.horizon) == (content["env_kwargs"], 150)
    asked, *_ = described.describe(f"minari:{ID}", env_id="Pendulum-v1")
    assert (asked.env_kwargs, asked.horizon) == ({}, 5)


@pytest.mark.parametrize(
    "value",
    ["/etc/passwd", {"a": 1}, ["x"], [[1]], float("inf"), float("nan"), 10**400],
)
def test_arguments_that_may_name_a_file_are_refused(value):
    spec = {"id": "Ant-v5", "kwargs": {"xml_file": value}}
    _dataset(env_spec=json.dumps(spec))
    with pytest.raises(errors.UserError, match="Ant-v5 with 'xml_file' = ") as caught:
        described.describe(f"minari:{ID}")
    assert "--env_id=Ant-v5" in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("limit", [None, 0, True, 3, "900", 2.5, 10**12])
def test_a_limit_that_the_data_exceed_or_that_is_none(limit):
    spec = {"id": "Pendulum-v1", "max_episode_steps": limit}
    _dataset(env_spec=json.dumps(spec))
    assert described.describe(f"minari:{ID}")[0].horizon == 5


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
        described.describe(f"minari:{ID}")
    assert "--env_id=none" in str(caught.value) and "\n" not in str(caught.value)
    assert described.describe(f"minari:{ID}", env_id="none")[0].env_id is None
    assert described.describe(f"minari:{ID}", env_id="Mine-v1")[0].env_id == "Mine-v1"
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
        described.describe(f"minari:{ID}")
    assert "\n" not in str(caught.value)


def test_the_datas_extremes_stand_in_for_infinite_bounds():
    _dataset(action_space=_box([-np.inf, -1], [1, 1]))
    told, *_ = described.describe(f"minari:{ID}", bounds="data")
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
        lambda: described.describe(f"minari:{ID}"),
        lambda: described.describe(f"file:{path}"),
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
    told, recorded, _ = described.describe(f"minari:{ID}")
    actions = np.concatenate([e.actions for e in recorded])
    low, high = actions.min(axis=0), actions.max(axis=0)
    assert told.action_low == (pytest.approx(low[0]), -1.0)
    assert told.action_high == (pytest.approx(high[0]), 1.0)
    assert "components [0] of the data lie outside" in told.notes["action_low"]
    validate.check(recorded, description.to_task(told), "x", _quiet)


def test_an_environments_bounds_stay_its_own():
    _dataset(action_space=LOUDER, env_spec=json.dumps({"id": "Pendulum-v1"}))
    told, *_ = described.describe(f"minari:{ID}")
    assert (told.action_low, told.action_high) == ((-0.1, -1.0), (0.1, 1.0))
    note = told.notes["action_low"]
    assert "[0] of the data lie outside: train with --repair=clip_actions" in note


def test_reference_scores_that_are_none_are_left_out():
    _dataset(ref_min_score=3.0, ref_max_score=3.0)
    content, _ = described.toml(f"minari:{ID}")
    assert "min_score" not in content and "max_score" not in content


def test_known_environments_are_gymnasiums():
    from gem_jax import envs

    envs.register_all()
    for name in telling_environment._KNOWN:
        assert name in envs.gymnasium.registry, name
