"""EMPO's recipe for the navigation data: two followers of subgoals (Algorithm 3).

Each follower visits the subgoals of its list, one after the other, and then the goal.
Both cross x = 10 and x = 20 for y below 15, in opposite directions: the average of
the two stands still there. Half of the set is the first one's, half the second one's,
each in whole episodes, so the set is a little larger than asked for.
"""

from __future__ import annotations

import numpy as np

from gem_jax.data import episodes
from gem_jax.envs import navigation

VERSION = 1  # to be raised whenever the same seed gives other bytes

# The list of a follower; its place here is the label in ``infos["policy"]``.
SUBGOALS = (
    ((0, 30), (10, 30), (10, 0), (20, 0), (20, 30), navigation.GOAL),
    ((10, 0), (10, 15), (20, 15), (20, 0), (30, 0), navigation.GOAL),
)
NOISE = 0.5  # standard deviation in units of an action: the paper's 0.1 over 0.2
_TYPICAL_STEPS = 650  # of an episode; sets how many walk at a time


def parts(task_name: str, num_transitions: int) -> list[tuple[str, int]]:
    """`TASK@LABEL` and its size for each follower."""
    half = num_transitions // 2
    sizes = (num_transitions - half, half)
    return [(f"{task_name}@{i}", size) for i, size in enumerate(sizes) if size]


def generate_shard(
    part: str, num_transitions: int, seed: np.random.SeedSequence
) -> list[episodes.Episode]:
    """Whole episodes of one follower, at least ``num_transitions`` steps in all.

    Args:
      part: `TASK@LABEL`.
      num_transitions: steps to record at least.
      seed: fixes every draw.
    """
    label = int(part.partition("@")[2])
    rng = np.random.default_rng(seed)
    shard: list[episodes.Episode] = []
    while num_transitions > 0:
        for episode in walk(label, 1 + num_transitions // _TYPICAL_STEPS, rng):
            if num_transitions > 0:
                shard.append(episode)
                num_transitions -= len(episode)
    return shard


def walk(
    label: int, count: int, rng: np.random.Generator, noise: float = NOISE
) -> list[episodes.Episode]:
    """``count`` episodes of a follower, side by side."""
    goals = np.array(SUBGOALS[label], np.float32)
    start = rng.uniform(0.0, navigation.START_SIZE, (count, 2))
    positions = [start.astype(np.float32)]
    actions: list[np.ndarray] = []
    rewards, ends = [], []
    aim, ended = np.zeros(count, int), np.zeros(count, bool)
    while len(actions) < navigation.HORIZON and not ended.all():
        here = positions[-1]
        distance = np.linalg.norm(goals[aim] - here, axis=1)
        near = distance < navigation.ARRIVAL_RADIUS
        aim = np.minimum(aim + near, len(goals) - 1)
        toward = np.clip((goals[aim] - here) / np.float32(navigation.STEP), -1.0, 1.0)
        drawn = noise * rng.standard_normal((count, 2), np.float32)
        action = np.clip(toward + drawn, -1.0, 1.0).astype(np.float32)
        moved, reward, reached = navigation.transition(here, action)
        positions.append(moved)
        actions.append(action)
        rewards.append(reward)
        ends.append(reached)
        ended |= reached
    stacked = (np.stack(x, axis=1) for x in (positions, actions, rewards, ends))
    return [_episode(label, *rows) for rows in zip(*stacked, strict=True)]


def _episode(
    label: int,
    positions: np.ndarray,
    actions: np.ndarray,
    rewards: np.ndarray,
    ends: np.ndarray,
) -> episodes.Episode:
    """Cuts a walk at its end."""
    reached = bool(ends.any())
    steps = int(ends.argmax()) + 1 if reached else len(ends)
    last = np.arange(steps) == steps - 1
    return episodes.Episode(
        observations=positions[: steps + 1],
        actions=actions[:steps],
        rewards=rewards[:steps].astype(np.float32),
        terminations=last & reached,
        truncations=last & (not reached),
        infos={"policy": np.full(steps, label, np.int32)},
    )
