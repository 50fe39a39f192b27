"""Tasks of one's own: what a file may say, and what is refused in one line."""

import dataclasses
import json

import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import task_file, tasks

TOML = """
name = "my-arm"
env_id = "Pendulum-v1"
env_kwargs = {g = 9.81}
observation_size = 3
action_size = 1
action_low = [-2]
action_high = [2.0]
horizon = 200
source = "file:logs/log.hdf5"
reward_transform = "minus_one"
min_score = -1600
max_score = -150.0
scored_by = "success"
"""
LEAST = dict(name="my-arm", observation_size=3, action_size=2, horizon=200)


def written(tmp_path, text, name="task.toml"):
    path = tmp_path / name
    path.write_text(text)
    return path


def test_a_file_is_a_task(tmp_path):
    task = data.read_task(written(tmp_path, TOML))
    assert task == data.Task(
        name="my-arm",
        env_id="Pendulum-v1",
        env_kwargs={"g": 9.81},
        observation_size=3,
        action_size=1,
        action_low=(-2.0,),
        action_high=(2.0,),
        horizon=200,
        source=f"file:{tmp_path}/logs/log.hdf5",
        reward_transform="minus_one",
        min_score=-1600.0,
        max_score=-150.0,
        scored_by="success",
    )
    assert task.suite == "own" and task.is_scored
    assert task.normalized_score(-150.0 - 145.0) == 90.0


def test_the_least_that_a_task_says_in_json(tmp_path):
    path = written(tmp_path, json.dumps(LEAST), "task.JSON")
    task = tasks.get(str(path))
    assert task == data.Task(**LEAST) == tasks.get(path) == tasks.get(task)
    assert task.action_low == (-1.0, -1.0) and task.action_high == (1.0, 1.0)
    assert task.action_box.is_unit and task.env_id is None and task.source == "auto"
    assert not task.is_scored and task.normalized_score(3.0) is None


@pytest.mark.parametrize(
    ("source", "path"),
    [
        ("file:log.hdf5", "HERE/log.hdf5"),
        ("file:../log.hdf5", "HERE/../log.hdf5"),
        ("file:/data/log.hdf5", "/data/log.hdf5"),
        ("file:~/log.hdf5", "/home/me/log.hdf5"),
    ],
)
def test_a_source_counts_from_the_files_folder(tmp_path, monkeypatch, source, path):
    monkeypatch.setenv("HOME", "/home/me")
    (tmp_path / "tasks").mkdir()
    written(tmp_path / "tasks", f'source = "{source}"\n' + _toml(LEAST))
    monkeypatch.chdir(tmp_path)  # named by a relative path
    found = data.read_task("tasks/task.toml").source
    assert found == "file:" + path.replace("HERE", str(tmp_path / "tasks"))
    for other in ("minari:a/b-v0", "local", "file:"):
        written(tmp_path, f'source = "{other}"\n' + _toml(LEAST))
        assert data.read_task(tmp_path / "task.toml").source == other


def _toml(fields):
    return "".join(f"{key} = {json.dumps(value)}\n" for key, value in fields.items())


@pytest.mark.parametrize("missing", LEAST)
def test_what_every_task_needs(tmp_path, missing):
    path = written(tmp_path, _toml({k: v for k, v in LEAST.items() if k != missing}))
    _refused(path, f"{missing} is missing; a task needs name, ")


def _refused(path, *named):
    with pytest.raises(errors.UserError) as raised:
        tasks.get(str(path))
    line = str(raised.value)
    assert str(path) in line and "\n" not in line
    for text in named:
        assert text in line, line


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"horizn": 3}, "unknown key 'horizn'; did you mean horizon? there are name"),
        ({"suite": "antmaze"}, "unknown key 'suite'"),  # the table's alone
        ({"name": "../../x"}, "name = '../../x': write up to 100 letters"),
        ({"name": "a..b"}, "name = 'a..b'"),
        ({"name": ""}, "name = ''"),
        ({"name": "my arm"}, "name = 'my arm'"),
        ({"name": 3}, "name = 3"),
        ({"observation_size": 0}, "observation_size = 0: write a whole number from 1"),
        ({"observation_size": 3.0}, "observation_size = 3.0"),
        ({"action_size": True}, "action_size = True"),
        ({"horizon": "200"}, "horizon = '200'"),
        ({"horizon": 2**40}, "horizon = 1099511627776: write a whole number from 1 to"),
        ({"action_low": -1.0}, "action_low = -1.0: write a list of 2 number(s)"),
        ({"action_low": [-1.0]}, "action_low = [-1.0]: write 2 number(s), as action_"),
        ({"action_low": [-1, "a"]}, "action_low = [-1, 'a']: write a list"),
        ({"action_low": [-1, True]}, "action_low = [-1, True]"),
        (
            {"action_high": [1, float("inf")]},
            "action_high = [1, inf]: bounds must be fin",
        ),
        ({"action_high": [1, float("nan")]}, "bounds must be finite"),
        ({"action_high": [1, 10**400]}, "action_high = [1, 1000"),
        ({"action_low": [-1, 1]}, "action_low[1] = 1 is not below action_high[1] = 1"),
        (
            {"action_low": [-1, 1e8], "action_high": [1, 1e8 + 2]},
            "action_low[1] = 100000000 and action_high[1] = 100000002 are too near",
        ),
        ({"env_id": ""}, "env_id = '': write a text in quotes"),
        ({"env_id": 3}, "env_id = 3"),
        ({"env_kwargs": {"a": 1}}, "env_kwargs = {'a': 1}: give env_id too"),
        ({"env_id": "X-v0", "env_kwargs": [1]}, "env_kwargs = [1]: write a table"),
        (
            {"env_id": "X-v0", "env_kwargs": {"max_episode_steps": 3}},
            "env_kwargs.max_episode_steps = 3: leave it out",
        ),
        ({"observation_keys": "place"}, "observation_keys = 'place': write a list"),
        ({"observation_keys": ["a", 3]}, "observation_keys = 3"),
        ({"observation_keys": ["a", "a"]}, "name each key once"),
        ({"source": 3}, "source = 3"),
        ({"reward_transform": "log"}, "reward_transform = 'log': choose identity, min"),
        ({"min_score": 0.0}, "max_score is missing; give both"),
        ({"max_score": 0.0}, "min_score is missing; give both"),
        ({"min_score": 1, "max_score": 1}, "min_score = 1 is not below max_score = 1"),
        ({"min_score": "a", "max_score": 1}, "min_score = 'a': write a finite number"),
        ({"scored_by": "luck"}, "scored_by = 'luck': choose return or success"),
        ({"scored_by": ["return"]}, "scored_by = ['return']: choose return or success"),
        ({"name": "hopper-medium-v2"}, "'hopper-medium-v2' is another task's"),
    ],
)
def test_what_cannot_be_meant_is_named(tmp_path, changes, named):
    text = json.dumps(LEAST | changes)
    path = written(tmp_path, text, "task.json")
    if "another task's" in named:  # known by who keeps the table
        with pytest.raises(errors.UserError, match="choose another name"):
            tasks.get(str(path))
    else:
        _refused(path, named)


def test_nests_without_end_are_no_settings():
    nest = []
    for _ in range(10_000):
        nest = [nest]
    with pytest.raises(errors.UserError, match="env_kwargs = "):
        data.Task(**LEAST, env_id="X-v0", env_kwargs={"a": nest[0][0]})


@pytest.mark.parametrize(
    ("name", "content", "named"),
    [
        ("a.toml", b"name = ", "is no TOML: "),
        ("a.toml", b"name = 'a'\nname = 'b'", "is no TOML: "),
        ("a.json", b"{", "is no JSON: "),
        ("a.json", b"[1]", "a task is a table of keys and values"),
        ("a.json", b"[" * 100_000, "is no JSON: "),
        ("a.toml", b"\xff\xfe", "is no text in UTF-8"),
        ("a.toml", None, "No such file"),
        ("a.toml", "folder", "Is a directory"),
    ],
)
def test_a_file_that_cannot_be_read(tmp_path, name, content, named):
    path = tmp_path / name
    if content == "folder":
        path.mkdir()
    elif content is not None:
        path.write_bytes(content)
    _refused(path, named)


def test_bounds_may_be_arrays_in_python():
    task = data.Task(
        **LEAST, action_low=np.float32([-0.5, 0]), action_high=np.array([2, 3])
    )
    assert task.action_low == (-0.5, 0.0) and task.action_high == (2.0, 3.0)
    assert all(type(bound) is float for bound in task.action_low)
    with pytest.raises(errors.UserError, match="write a list of 2"):
        data.Task(**LEAST, action_low=np.zeros((2, 1)))


def test_what_a_run_keeps_is_the_task(tmp_path):
    task = data.read_task(written(tmp_path, TOML))
    record = json.loads(json.dumps({"env": "my-arm", "task": task_file.fields(task)}))
    assert tasks.of_run(record) == data.Task(
        **{**task_file.fields(task), "source": "auto"}
    )
    assert tasks.of_run({"env": "hopper-medium-v2"}) is tasks.get("hopper-medium-v2")
    for damaged in ("my-arm", {"name": "my-arm"}):
        with pytest.raises(errors.UserError, match="config.json: "):
            tasks.of_run({"env": "my-arm", "task": damaged})


def test_a_suite_is_the_tables_alone():
    """It would not be in the run's record, from which the task is read again."""
    hopper = tasks.get("hopper-medium-v2")
    assert tasks.get(dataclasses.replace(hopper)) == hopper
    for task in (
        data.Task(**LEAST, suite="locomotion"),
        data.Task(**LEAST, suite="mine"),
        dataclasses.replace(hopper, horizon=5),
    ):
        with pytest.raises(errors.UserError, match="is none of them; leave it out, or"):
            tasks.get(task)
    changed = dataclasses.replace(hopper, horizon=5, suite="own", name="short-hopper")
    assert tasks.get(changed) is changed  # as the message says


def test_an_unknown_name_tells_of_files():
    with pytest.raises(errors.UserError, match=r"hopper-medium-v2.*--env=FILE.toml"):
        tasks.get("hoper-medium-v2")
