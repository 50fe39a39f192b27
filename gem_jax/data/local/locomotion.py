"""D4RL's recipe for the locomotion sets: SAC policies of several stages, sampled.

A robot's file holds policies of one training run in the order of training, from the
untrained one to the last, as ``experiments.behaviors`` wrote it. Two of them bear
names: `medium`, about a third to a half as good as D4RL's reference, and `expert`.

    random         the untrained policy
    medium         the medium policy
    expert         the expert policy
    medium-expert  the medium set, then the expert set
    medium-replay  what training saw until the medium policy
    full-replay    what training saw until its end

What training saw is seen again, not stored: each policy acts for as large a part of
the set as it was the newest one in training, oldest first. Actions are sampled.
"""

from __future__ import annotations

import functools
import hashlib
import io
from importlib import resources
from typing import Any, NamedTuple

import numpy as np

from gem_jax import envs
from gem_jax.data import episodes, tasks
from gem_jax.data.local import tanh_gaussian

VERSION = 1  # to be raised whenever the same weights and seed give other bytes

EPISODE_STEPS = 1000


class Behaviors(NamedTuple):
    """The policies of one robot.

    Attributes:
      policies: `P` of them, in the order of training; the first is untrained.
      steps: `[P]` environment steps that each was trained for.
      returns: `[P]` mean return of each, actions sampled, as measured when chosen.
      medium: index of the medium policy.
      expert: index of the expert policy.
      sha256: of the file.
    """

    policies: tuple[tanh_gaussian.PolicyParams, ...]
    steps: np.ndarray
    returns: np.ndarray
    medium: int
    expert: int
    sha256: str


@functools.cache
def load_behaviors(robot: str) -> Behaviors:
    """The policies that ``experiments.behaviors.select_locomotion`` chose."""
    path = resources.files("gem_jax.data.local").joinpath(f"{robot}.npz")
    content = path.read_bytes()
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = dict(stored)
    weights = {name: array for name, array in arrays.items() if "/" in name}
    policies = tuple(
        tanh_gaussian.params_from_arrays({name: w[i] for name, w in weights.items()})
        for i in range(len(arrays["steps"]))
    )
    return Behaviors(
        policies=policies,
        steps=arrays["steps"],
        returns=arrays["returns"],
        medium=int(arrays["medium"]),
        expert=int(arrays["expert"]),
        sha256=hashlib.sha256(content).hexdigest(),
    )


def parts(task_name: str, num_transitions: int) -> list[tuple[str, int]]:
    """The set as a sequence of parts by one policy each: `SET@POLICY` and a size.

    The seed of a part comes from its name, so that medium-expert consists of the very
    trajectories of the two sets.
    """
    task = tasks.get(task_name)
    robot, quality = task.world, task.variant
    behaviors = load_behaviors(robot)
    if quality == "medium-expert":
        half = num_transitions // 2
        return [
            *parts(f"{robot}-medium-v2", half),
            *parts(f"{robot}-expert-v2", num_transitions - half),
        ]
    if quality == "medium-replay":
        return _replay(
            task_name, behaviors.steps[: behaviors.medium + 1], num_transitions
        )
    if quality == "full-replay":
        return _replay(task_name, behaviors.steps, num_transitions)
    named = {"random": 0, "medium": behaviors.medium, "expert": behaviors.expert}
    return [(f"{task_name}@{named[quality]}", num_transitions)]


def describe(
    task_name: str, num_transitions: int, seed: np.random.SeedSequence
) -> dict[str, Any]:
    """What else fixes the set: the file of weights and the policies in it.

    `policies` tells, for each label in ``infos["policy"]``, how long that policy was
    trained and its mean return.
    """
    del seed
    behaviors = load_behaviors(tasks.get(task_name).world)
    labels = {_label(part) for part, _ in parts(task_name, num_transitions)}
    return {
        "weights": behaviors.sha256[:16],
        "policies": [
            {
                "label": label,
                "training_steps": int(behaviors.steps[label]),
                "mean_return": round(float(behaviors.returns[label]), 1),
            }
            for label in sorted(labels)
        ],
    }


def generate_shard(
    part: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Whole episodes of one policy, one after the other; the last is cut short.

    Args:
      part: `SET@POLICY`.
      num_transitions: steps to record.
      seed: fixes every draw.

    Returns:
      Episodes that end with a fall (terminal) or after 1000 steps (time-out; a fall at
      that very step counts as one too, as in D4RL). Infos: `policy` `[T]` int32 label,
      `action_log_probs` `[T]`, `qpos` and `qvel` `[T, ...]` before each step.
    """
    robot = tasks.get(part.partition("@")[0]).world
    label = _label(part)
    params = load_behaviors(robot).policies[label]
    rng = np.random.default_rng(seed)
    env = make_env(robot)
    env.reset(seed=int(rng.integers(2**31)))
    shard: list[episodes.Episode] = []
    while num_transitions > 0:
        steps = min(num_transitions, EPISODE_STEPS)
        shard.append(run_episode(env, params, label, steps, rng))
        num_transitions -= len(shard[-1])
    return shard


def make_env(robot: str) -> Any:
    """The robot's bare environment, in D4RL's physics, without a time limit."""
    env_id = tasks.get(f"{robot}-medium-v2").env_id
    assert env_id is not None
    return envs.make(env_id).unwrapped


def run_episode(
    env: Any,
    params: tanh_gaussian.PolicyParams,
    label: int,
    max_steps: int,
    rng: np.random.Generator,
) -> episodes.Episode:
    """One episode of sampled actions; see ``generate_shard``."""
    noise = rng.standard_normal((max_steps, env.action_space.shape[0]), np.float32)
    observations = [env.reset()[0].astype(np.float32)]
    actions: list[np.ndarray] = []
    rewards, positions, velocities = [], [], []
    fallen = False
    while not fallen and len(actions) < max_steps:
        action = tanh_gaussian.sample(params, observations[-1], noise[len(actions)])
        positions.append(env.data.qpos.copy())
        velocities.append(env.data.qvel.copy())
        observation, reward, fallen, _, _ = env.step(action)
        observations.append(observation.astype(np.float32))
        actions.append(action)
        rewards.append(reward)
    steps = len(actions)
    last = np.arange(steps) == steps - 1
    terminal = fallen and steps < EPISODE_STEPS
    mean, log_std = tanh_gaussian.distribution(params, np.stack(observations[:-1]))
    return episodes.Episode(
        observations=np.stack(observations),
        actions=np.stack(actions),
        rewards=np.array(rewards, np.float32),
        terminations=last & terminal,
        truncations=last & (not terminal),
        infos={
            "policy": np.full(steps, label, np.int32),
            "action_log_probs": tanh_gaussian.log_prob(mean, log_std, noise[:steps]),
            "qpos": np.array(positions, np.float32),
            "qvel": np.array(velocities, np.float32),
        },
    )


def _replay(
    task_name: str, steps: np.ndarray, num_transitions: int
) -> list[tuple[str, int]]:
    """Shares of a set in proportion to how long each policy was the newest one.

    Shares end at whole episodes' lengths, so that no more episodes than need be are
    cut where the policy changes.
    """
    ends = steps[1:] * (num_transitions / steps[-1])
    ends = np.rint(ends / EPISODE_STEPS).astype(int) * EPISODE_STEPS
    ends[-1] = num_transitions
    sizes = np.diff(ends.clip(max=num_transitions), prepend=0)
    return [(f"{task_name}@{i}", int(n)) for i, n in enumerate(sizes) if n]


def _label(part: str) -> int:
    return int(part.partition("@")[2])
