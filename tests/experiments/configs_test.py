"""Every setting of every preset and task, against a table written from the references.

Whole configurations are compared, so a setting that is new asks for its line there.
"""

import dataclasses

import expected_settings as expected
import expected_tasks
import pytest

from gem_jax import algorithms, configs
from gem_jax.data import tasks
from gem_jax.runs import presets

ALGORITHMS = algorithms.names()


def test_the_table_has_every_algorithm_task_and_preset():
    assert sorted(expected.PAPER) == ALGORITHMS
    assert list(expected_tasks.TASKS) == list(tasks.table())
    assert sorted(expected_tasks.NUM_TRANSITIONS) == sorted(presets.PRESETS)


@pytest.mark.parametrize("algo", ALGORITHMS)
@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_setting(algo, preset):
    for task in tasks.table().values():
        found = dataclasses.asdict(configs.get_config(algo, task, preset))
        wanted = expected.settings(algo, task.name, preset)
        if "support_cap" in wanted:
            assert found["support_cap"] == 1e9  # as good as none: z is at most sqrt(N)
            del found["support_cap"], wanted["support_cap"]
        assert found == wanted, task.name


def test_in_the_paper_iql_and_gem_learn_values_and_weights_alike():
    """But GEM has ten critics, and a mixture no deterministic form.

    On OGBench, which GEM's paper has not, IQL's settings are those published there.
    """
    own = {"num_critics", "log_std_min", "log_std_max"}
    for task in tasks.table().values():
        if task.suite == "ogbench":
            continue
        iql, gem = (
            dataclasses.asdict(configs.get_config(algo, task, "paper"))
            for algo in ("iql", "gem")
        )
        for name in iql.keys() - own:
            assert iql[name] == gem[name], (task.name, name)


def test_one_setting_of_gem_for_all_tasks():
    for preset in ("best", "laptop", "smoke"):
        found = [configs.get_config("gem", t, preset) for t in tasks.table().values()]
        assert len({dataclasses.replace(c, num_steps=1) for c in found}) == 1
    task, config = tasks.get("hopper-medium-v2"), found[0]
    told = [
        presets.data_options(p, "gem", config, task).n_step for p in presets.PRESETS
    ]
    assert told == [1, 0, 0, 0]  # 0: as the rewards tell


@pytest.mark.parametrize("preset", presets.PRESETS)
def test_every_schedule_and_the_data(preset):
    for task in tasks.table().values():
        num_steps = expected.settings("iql", task.name, preset)["num_steps"]
        schedule = presets.schedule(preset, task, num_steps)
        wanted = expected_tasks.CADENCE[preset, task.suite]
        assert dataclasses.astuple(schedule) == wanted, task.name
    options = presets.data_options(preset, "iql", None, tasks.get("maze2d-umaze-v1"))
    assert dataclasses.asdict(options) == {
        "num_transitions": expected_tasks.NUM_TRANSITIONS[preset],
        "repair": (),  # nothing is mended unasked
        "reward_transform": None,  # the task's
        "best_share": 1.0,
        "n_step": 1,
    }


@pytest.mark.parametrize("algo", algorithms.names())
def test_rewards_that_training_sees(algo):
    """As scale and shift, or by name; where an algorithm says nothing, the task's."""
    for name in expected_tasks.TASKS:
        task = tasks.get(name)
        config = configs.get_config(algo, task, "paper")
        found = presets.data_options("paper", algo, config, task).reward_transform
        if not isinstance(found, str | None):
            found = found.scale, found.shift
        assert (found or task.reward_transform) == expected.rewards(algo, name), name


@pytest.mark.parametrize("name", expected_tasks.TASKS)
def test_every_task(name):
    task = tasks.get(name)
    assert expected_tasks.TASKS[name] == (
        task.suite,
        task.reward_transform,
        task.num_transitions,
        task.env_id,
        task.observation_size,
        task.action_size,
        task.horizon,
        task.min_score,
        task.max_score,
    )
    assert task.normalized_score(task.min_score) == 0.0
    assert task.normalized_score(task.max_score) == 100.0


def test_percent_bc_clones_the_best_tenth():
    task = tasks.get("hopper-medium-v2")
    config = configs.get_config("percent_bc", task, "paper")
    assert presets.data_options("paper", "percent_bc", config, task).best_share == 0.1
