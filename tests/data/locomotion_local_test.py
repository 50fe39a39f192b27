"""The locally generated locomotion data: stages of training, ends, labels, bytes."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest

from gem_jax import data, envs
from gem_jax.data import motion, tasks
from gem_jax.data.local import locomotion, tanh_gaussian

ROBOTS = ("halfcheetah", "hopper", "walker2d")
# From a third of the reference to the best of D4RL's own medium sets.
MEDIUM_SCORES = {
    "halfcheetah": (33.0, 50.0),
    "hopper": (33.0, 55.0),
    "walker2d": (62.0, 80.0),
}


def _shard(part, size, seed=0):
    return locomotion.generate_shard(part, size, np.random.SeedSequence(seed))


@pytest.mark.parametrize("robot", ROBOTS)
def test_tiers_are_stages_of_one_training(robot):
    behaviors = locomotion.load_behaviors(robot)
    task = tasks.get(f"{robot}-medium-v2")
    assert behaviors.steps[0] == 0 and np.all(np.diff(behaviors.steps) > 0)
    assert 0 < behaviors.medium < behaviors.expert < len(behaviors.policies)
    scores = [task.normalized_score(r) for r in behaviors.returns]
    assert scores[0] < 5.0
    low, high = MEDIUM_SCORES[robot]
    assert low <= scores[behaviors.medium] <= high
    assert scores[behaviors.expert] >= (80.0 if robot == "halfcheetah" else 90.0)
    assert scores[behaviors.expert] == max(scores)


@pytest.mark.parametrize("robot", ROBOTS)
def test_a_shard_obeys_physics_and_d4rls_conventions(robot):
    behaviors = locomotion.load_behaviors(robot)
    part = f"{robot}-medium-v2@{behaviors.medium}"
    shard = _shard(part, 1_500)
    assert sum(map(len, shard)) == 1_500
    env = envs.make(tasks.get(f"{robot}-medium-v2").env_id).unwrapped
    env.reset(seed=0)
    for episode in shard:
        steps = len(episode)
        assert (
            not episode.terminations[:-1].any() and not episode.truncations[:-1].any()
        )
        assert episode.terminations[-1] != episode.truncations[-1]
        assert steps <= 1_000
        assert set(episode.infos["policy"]) == {behaviors.medium}
        # One recorded step, replayed by the environment that evaluates.
        i = steps // 2
        env.set_state(
            episode.infos["qpos"][i].astype(float),
            episode.infos["qvel"][i].astype(float),
        )
        observation, reward, *_ = env.step(episode.actions[i])
        np.testing.assert_allclose(
            observation, episode.observations[i + 1], rtol=2e-2, atol=2e-2
        )
        assert reward == pytest.approx(episode.rewards[i], rel=2e-2, abs=2e-2)
    assert [len(e) for e in shard if e.truncations[-1]][:-1].count(1_000) == sum(
        bool(e.truncations[-1]) for e in shard[:-1]
    )


@pytest.mark.parametrize("robot", ROBOTS)
def test_the_fastest_gait_is_no_jump(robot):
    expert = locomotion.load_behaviors(robot).expert
    layout = tasks.get(f"{robot}-expert-v2").motion
    for episode in _shard(f"{robot}-expert-v2@{expert}", 2_000):
        assert not motion.jumps(episode, layout).size


def test_log_probs_are_those_of_the_actions():
    behaviors = locomotion.load_behaviors("hopper")
    episode = _shard(f"hopper-expert-v2@{behaviors.expert}", 50)[0]
    params = behaviors.policies[behaviors.expert]
    mean, log_std = tanh_gaussian.distribution(params, episode.observations[:-1])
    inside = np.abs(episode.actions).max(axis=1) < 0.99
    u = np.arctanh(episode.actions[inside].astype(np.float64))
    noise = (u - mean[inside]) / np.exp(log_std[inside])
    expected = tanh_gaussian.log_prob(mean[inside], log_std[inside], noise)
    actual = episode.infos["action_log_probs"][inside]
    assert inside.sum() > 5
    np.testing.assert_allclose(actual, expected, rtol=1e-2, atol=1e-2)


def test_a_fall_at_the_time_limit_is_a_time_out():
    class FallsAt:
        """An environment that falls at one step."""

        action_space = gymnasium.spaces.Box(-1.0, 1.0, (3,))
        data = envs.make("Hopper-v4").unwrapped.data

        def __init__(self, step):
            self._left = step

        def reset(self):
            return np.zeros(11), {}

        def step(self, action):
            self._left -= 1
            return np.zeros(11), 1.0, self._left == 0, False, {}

    params = locomotion.load_behaviors("hopper").policies[0]
    rng = np.random.default_rng(0)

    def ends(fall, limit):
        episode = locomotion.run_episode(FallsAt(fall), params, 0, limit, rng)
        return len(episode), bool(episode.terminations[-1])

    assert ends(1_000, 1_000) == (1_000, False)
    assert ends(999, 1_000) == (999, True)
    assert ends(2_000, 1_000) == (1_000, False)
    assert ends(20, 20) == (20, True)  # the shard's end, not the time limit
    assert ends(21, 20) == (20, False)


def test_medium_expert_is_the_two_sets_one_after_the_other():
    halves = [
        data.read(f"hopper-{tier}-v2", "local", num_transitions=2_000, progress=False)[
            0
        ]
        for tier in ("medium", "expert")
    ]
    both, provenance = data.read(
        "hopper-medium-expert-v2", "local", num_transitions=4_000, progress=False
    )
    for mine, theirs in zip(both, halves[0] + halves[1], strict=True):
        np.testing.assert_array_equal(mine.observations, theirs.observations)
        np.testing.assert_array_equal(mine.actions, theirs.actions)
        np.testing.assert_array_equal(mine.infos["policy"], theirs.infos["policy"])
    described = {row["label"] for row in provenance.recipe["policies"]}
    assert (
        described == {int(e.infos["policy"][0]) for e in both} and len(described) == 2
    )


@pytest.mark.parametrize("quality", ["medium-replay", "full-replay"])
def test_a_replay_goes_through_training_in_order_and_proportion(quality):
    behaviors = locomotion.load_behaviors("walker2d")
    total = 300_000
    parts = locomotion.parts(f"walker2d-{quality}-v2", total)
    labels = [int(name.split("@")[1]) for name, _ in parts]
    sizes = [size for _, size in parts]
    last = behaviors.medium if quality == "medium-replay" else len(behaviors.steps) - 1
    assert labels == sorted(labels) and max(labels) < last and sum(sizes) == total
    shares = np.diff(behaviors.steps[: last + 1]) / behaviors.steps[last]
    for label, size in zip(labels, sizes, strict=True):
        assert abs(size - total * shares[label]) <= 1_000


def test_d4rls_sizes_are_the_default():
    sizes = {
        name: task.num_transitions
        for name, task in tasks.table().items()
        if name.endswith(("medium-replay-v2", "medium-expert-v2"))
    }
    assert sorted(sizes.values()) == [202_000, 302_000, 402_000, *3 * [2_000_000]]
    assert sizes["hopper-medium-replay-v2"] == 402_000


def test_the_same_seed_gives_the_same_bytes_and_another_does_not():
    def content(seed):
        shard = _shard("walker2d-random-v2@0", 300, seed)
        arrays = [shard[3].observations, shard[3].actions, *shard[3].infos.values()]
        return [array.tobytes() for array in arrays]

    assert content(1) == content(1)
    assert content(1) != content(2)
