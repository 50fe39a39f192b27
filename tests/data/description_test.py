"""What is told of a dataset without a task, and the task file that says it."""

from __future__ import annotations

import dataclasses
import tomllib

import described
import h5py
import layout_files
import numpy as np
import pytest

from gem_jax import data, errors
from gem_jax.data import (
    description,
    task_file,
    task_text,
    tasks,
    validate,
)


def test_a_log(tmp_path):
    path = tmp_path / 'my "Log" 3.csv'
    layout_files.log(path)
    content, text = described.toml(f"file:{path}")
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
    content, text = described.toml(f"file:{tmp_path / 'a'}")
    assert content["action_low"] == [-1.0, -1.0] and content["action_high"] == [1, 1]
    assert "as the layout means them" in text
    read = described.describe(f"file:{tmp_path / 'a'}")[1]
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
    assert described.describe(source)[0].horizon == HORIZONS[name]
    # Of the second episode, the longest, four steps are left; a fifth is seen by some.
    seen = name in ("d4rl_hdf5", "d4rl_numpy", "robomimic_bare")
    assert described.describe(source, num_transitions=8)[0].horizon == 4 + seen


def test_where_d4rls_successors_end_an_episode_no_step_is_left_out(tmp_path):
    arrays = layout_files.d4rl_arrays()
    found = layout_files.rows(with_last=False)
    with h5py.File(tmp_path / "a", "w") as file:
        for name, part in zip(arrays, ("obs", "act", "rew", "term")):
            file[name] = found[part]
        file["next_observations"] = found["next"]
    assert described.describe(f"file:{tmp_path / 'a'}")[0].horizon == 5


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
    with pytest.raises(errors.UserError, match="^x: actions have no components"):
        still = _acting([0.0])
        still = dataclasses.replace(still, actions=still.actions[:, :0])
        description.of_episodes([still], "a", "x", unit_actions=True)


def test_a_name_that_is_told_is_one_for_a_task(tmp_path):
    for stem, name in (
        ("hopper_medium-v2", "own-hopper-medium-v2"),  # the table has the other
        ("a..b", "a-b"),
        ("x" * 200, "x" * 90),
    ):
        layout_files.log(tmp_path / f"{stem}.csv")
        assert described.describe(f"file:{tmp_path / stem}.csv")[0].name == name
    with pytest.raises(errors.UserError, match="choose another name"):
        described.describe(f"file:{tmp_path / stem}.csv", name="hopper-medium-v2")


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
        described.describe(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["", "a/b", "../x", ".hidden", "a b"])
def test_names_that_are_refused(name):
    with pytest.raises(errors.UserError, match="^x: name = .*write up to 100"):
        description.of_episodes(layout_files.recorded(), name, "x")


def test_nothing_to_tell(tmp_path):
    with h5py.File(tmp_path / "a.hdf5", "w") as file:
        for key, width in (("observations", 4), ("actions", 2)):
            file[key] = np.zeros((0, width))
        file["rewards"] = file["terminals"] = np.zeros(0)
    with pytest.raises(errors.UserError, match="holds no transitions"):
        described.describe(f"file:{tmp_path / 'a.hdf5'}")


def test_episodes_of_several_sizes_are_of_no_task():
    first, *others = layout_files.recorded()
    wider = dataclasses.replace(first, actions=np.zeros((4, 3), np.float32))
    with pytest.raises(errors.UserError, match="sizes of observation and action diff"):
        description.of_episodes([*others, wider], "a", "x")


def test_a_task_that_is_told_has_no_scores():
    told = description.of_episodes(layout_files.recorded(), "a", "x")
    task = description.to_task(told)
    assert (task.observation_size, task.action_size, task.horizon) == (4, 2, 5)
    assert task.normalized_score(3.0) is None and task.name not in tasks.table()
    known = dataclasses.replace(told, min_score=1.0, max_score=3.0)
    assert description.to_task(known).normalized_score(2.0) == 50.0
