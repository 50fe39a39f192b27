"""What the doctor tells: every known fault is found, mended, and not seen elsewhere."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from gem_jax.data import episodes, faults, inspection, repairs, tasks

MAZE, ANT, HOPPER = map(
    tasks.get, ("maze2d-umaze-v1", "antmaze-umaze-v2", "hopper-medium-v2")
)


def _episode(task, steps=50, seed=0):
    """Motion at nearly constant velocities, and ends as the task has them."""
    rng = np.random.default_rng(seed)
    layout = task.motion
    observations = rng.normal(size=(steps + 1, task.observation_size))
    velocity = rng.uniform(0.1, 0.5, layout.velocities[1] - layout.velocities[0])
    time = layout.step_seconds * np.arange(steps + 1)[:, None]
    wobble = rng.normal(0.0, 1e-3, (steps + 1, velocity.size))
    observations[:, slice(*layout.velocities)] = velocity + wobble
    observations[:, slice(*layout.positions)] = rng.normal(size=velocity.size) + (
        time * velocity
    )
    last = np.arange(steps) == steps - 1
    return episodes.Episode(
        observations=observations.astype(np.float32),
        actions=rng.uniform(-0.9, 0.9, (steps, task.action_size)).astype(np.float32),
        rewards=rng.uniform(size=steps).astype(np.float32),
        terminations=last & (task.suite == "locomotion"),
        truncations=last & (task.suite != "locomotion"),
    )


def _maze_episode(lag=0):
    """Through the goal at (1, 1), in 300 steps, with rewards late by ``lag``."""
    episode = _episode(MAZE, 300)
    x = np.linspace(0.2, 2.0, 301)
    wobble = np.random.default_rng(0).normal(0.0, 1e-3, (301, 4))
    observations = np.stack([x, 0 * x + 1, 0 * x + 0.6, 0 * x], 1) + wobble
    near = (np.linalg.norm(observations[:, :2] - 1.0, axis=1) <= 0.5).astype(np.float32)
    return dataclasses.replace(
        episode,
        observations=observations.astype(np.float32),
        rewards=near[:-1] if lag else near[1:],
    )


def _ant_episode():
    episode = _episode(ANT, 700)
    rewards = np.zeros(700, np.float32)
    rewards[-1] = 1.0
    return dataclasses.replace(episode, rewards=rewards, terminations=rewards > 0)


CLEAN = {
    HOPPER.name: [_episode(HOPPER, seed=i) for i in range(3)],
    MAZE.name: [_maze_episode()],
    ANT.name: [_ant_episode()],
}


def _found(data, task):
    return {v.fault for v in faults.examine(data, task) if v.found}


@pytest.mark.parametrize("name", CLEAN)
def test_clean_data_have_no_fault(name):
    assert _found(CLEAN[name], tasks.get(name)) == set()
    assert all(v.repair is None for v in faults.examine(CLEAN[name], tasks.get(name)))


def _changed(name, field, index, value):
    first, *others = CLEAN[name]
    array = getattr(first, field).copy()
    array[index] = value
    return [dataclasses.replace(first, **{field: array}), *others]


FAULTY = {
    "not finite": (HOPPER, _changed(HOPPER.name, "rewards", 3, np.nan)),
    "actions out of bounds": (HOPPER, _changed(HOPPER.name, "actions", (2, 1), 1.7)),
    "position jumps": (
        MAZE,
        _changed(MAZE.name, "observations", (np.s_[5:], 1), 1.3),
    ),
    "terminals inside": (ANT, _changed(ANT.name, "terminations", 9, True)),
    "rewards lag": (MAZE, [_maze_episode(lag=1)]),
    "rewards scattered": (ANT, _changed(ANT.name, "rewards", 0, 1.0)),
    "early time-outs": (MAZE, [episodes.cut(CLEAN[MAZE.name][0], 0, 200)]),
    "beyond the horizon": (ANT, [dataclasses.replace(_episode(ANT, 701))]),
    "terminal at the time limit": (HOPPER, [_episode(HOPPER, 1000)]),
    "open ends": (MAZE, _changed(MAZE.name, "truncations", -1, False)),
    "saturated actions": (HOPPER, _changed(HOPPER.name, "actions", np.s_[:20], 1.0)),
    "duplicate transitions": (HOPPER, CLEAN[HOPPER.name] + CLEAN[HOPPER.name][:1]),
    "constant numbers": (
        HOPPER,
        [dataclasses.replace(e, rewards=0 * e.rewards) for e in CLEAN[HOPPER.name]],
    ),
}


MORE_FAULTY = [
    ("position jumps", ANT, _changed(ANT.name, "observations", (np.s_[9:], 1), 30.0)),
    (
        "actions out of bounds",  # beside a NaN, in another episode
        HOPPER,
        [
            *_changed(HOPPER.name, "actions", (2, 1), np.nan),
            *_changed(HOPPER.name, "actions", (2, 1), 1.7),
        ],
    ),
]


@pytest.mark.parametrize(("fault", "task", "data"), MORE_FAULTY)
def test_faults_elsewhere(fault, task, data):
    assert fault in _found(data, task)


def test_the_observation_after_a_fall_may_be_the_next_episodes_first():
    """As in D4RL's files; it is masked, so nothing is wrong and nothing mended."""
    (fallen, *_) = _changed(HOPPER.name, "observations", -1, 30.0)
    assert "position jumps" not in _found([fallen], HOPPER)
    assert inspection.describe([fallen], HOPPER)["largest_slip"] < 0.1
    (kept,) = repairs.apply([fallen], HOPPER, ["split_jumps"])
    assert len(kept) == 50 and kept.terminations[-1] and not kept.truncations.any()
    survived = dataclasses.replace(fallen, terminations=fallen.truncations)
    assert "position jumps" in _found([survived], HOPPER)


def test_rewards_of_another_goal_do_not_lag():
    (episode,) = FAULTY["rewards lag"][1]
    elsewhere = dataclasses.replace(episode, observations=episode.observations + 0.9)
    assert "rewards lag" not in _found([elsewhere], MAZE)


@pytest.mark.parametrize("fault", FAULTY)
def test_every_fault_is_found_and_its_repair_mends_it(fault):
    task, data = FAULTY[fault]
    verdict = next(v for v in faults.examine(data, task) if v.fault == fault)
    assert verdict.found and faults.line(verdict).startswith(f"FOUND  {fault}: ")
    if verdict.repair:
        assert f"--repair={verdict.repair}" in faults.line(verdict)
        mended = repairs.apply(data, task, [verdict.repair])
        assert fault not in _found(mended, task)


def test_what_training_refuses_is_said():
    task, data = FAULTY["not finite"]
    verdict = faults.examine(data, task)[0]
    assert verdict.fault == "unfit for training" and "rewards[3]" in verdict.detail


def test_every_known_fault_has_a_case():
    names = {v.fault for v in faults.examine(CLEAN[HOPPER.name], HOPPER)}
    assert names == {*FAULTY, "unfit for training"}


def test_split_jumps_cuts_where_the_jump_was():
    data = FAULTY["position jumps"][1]
    first, second = repairs.apply(data, MAZE, ["split_jumps"])
    assert (len(first), len(second)) == (4, 295)  # the step 4 -> 5 is left out
    np.testing.assert_array_equal(second.observations, data[0].observations[5:])
    assert first.truncations.tolist() == [False] * 3 + [True]


def test_drop_unfinished_keeps_whole_episodes():
    cut = episodes.cut(CLEAN[HOPPER.name][0], 0, 20)
    data = [cut, *CLEAN[HOPPER.name][1:]]
    assert repairs.apply(data, HOPPER, ["drop_unfinished"]) == data[1:]


def test_the_description_is_of_whole_episodes_and_fit_for_json():
    labeled = [
        dataclasses.replace(
            episode, infos={"policy": np.full(len(episode), i, np.int32)}
        )
        for i, episode in enumerate(CLEAN[HOPPER.name])
    ]
    cut = episodes.cut(labeled[0], 0, 10)
    facts = inspection.describe([cut, *labeled], HOPPER)
    returns = [float(e.rewards.sum(dtype=np.float64)) for e in labeled]
    assert facts["whole_episodes"] == 3 and facts["truncations"] == 1
    assert facts["episode_return"]["mean"] == pytest.approx(np.mean(returns))
    assert facts["normalized_return"]["max"] == pytest.approx(
        HOPPER.normalized_score(max(returns))
    )
    assert facts["policies"]["0"]["transitions"] == 60
    assert facts["policies"]["1"]["return_mean"] == pytest.approx(returns[1])
    unfinished = inspection.describe([cut, labeled[1]], HOPPER)["policies"]["0"]
    assert unfinished["return_mean"] is None
    assert facts["duplicate_rows"] == 10
    nothing = {
        "rewards": np.full(50, np.nan, np.float32),
        "actions": np.full((50, HOPPER.action_size), np.inf, np.float32),
    }
    unknown = dataclasses.replace(labeled[0], **nothing)
    huge = dataclasses.replace(
        labeled[0], rewards=np.geomspace(1, 1e30, 50, dtype="f4")
    )
    cases = [*FAULTY.values(), (HOPPER, [unknown]), (HOPPER, [huge])]
    for task, data in cases:
        json.dumps(inspection.describe(data, task), allow_nan=False)


def test_a_return_counts_up_to_the_first_terminal_step():
    rewards = np.zeros(700, np.float32)
    rewards[10:] = 1.0
    episode = dataclasses.replace(
        _ant_episode(), rewards=rewards, terminations=rewards > 0
    )
    assert inspection.describe([episode], ANT)["normalized_return"]["mean"] == 100.0


def test_no_repair_is_urged_where_terminals_stand_inside():
    """Values stop at a terminal step anyway, and what follows it is of use."""
    task, data = FAULTY["terminals inside"]
    (verdict,) = [
        v for v in faults.examine(data, task) if v.fault == "terminals inside"
    ]
    assert verdict.found and verdict.repair is None
