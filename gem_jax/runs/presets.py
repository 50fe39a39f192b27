"""Presets: how often to look, and which data to train on."""

from __future__ import annotations

import dataclasses
from typing import Any

import jax

from gem_jax import algorithms, configs, errors
from gem_jax.data import transforms
from gem_jax.data.options import DataOptions
from gem_jax.data.task import OWN
from gem_jax.data.tasks import Task


@dataclasses.dataclass(frozen=True)
class Schedule:
    """The loop's side of a preset; intervals are whole multiples of ``log_every``.

    Attributes:
      log_every: updates a line of metrics.
      eval_every: updates between evaluations; there is always one at the end.
      eval_episodes: episodes of those on the way.
      final_episodes: episodes of the last.
      checkpoint_every: updates between checkpoints; also at the end of each phase.
    """

    log_every: int
    eval_every: int
    eval_episodes: int
    final_episodes: int
    checkpoint_every: int


_SMOKE_TRANSITIONS = 20_000
# Of the last evaluation; a goal that is reached or not takes more.
_FINAL_EPISODES = {"locomotion": 10, "navigation": 10, "antmaze": 100, "maze2d": 100}
_FINAL_EPISODES_ELSEWHERE = 50
PRESETS = ("paper", "best", "laptop", "smoke")


def default_preset() -> tuple[str, str]:
    """The preset when none is asked for, and why."""
    if jax.default_backend() == "cpu":
        return "laptop", "no accelerator"
    return "paper", f"running on {jax.default_backend()}"


def check(preset: str) -> None:
    """Refuses a preset that does not exist.

    Raises:
      UserError: names the valid ones.
    """
    if preset not in PRESETS:
        known = ", ".join(PRESETS)
        raise errors.UserError(f"unknown --preset={preset!r}; one of {known}")


def schedule(preset: str, task: Task, num_steps: int) -> Schedule:
    """The schedule of a preset for a task and a number of updates.

    Raises:
      UserError: there is no such preset.
    """
    check(preset)
    final = _FINAL_EPISODES.get(task.suite, _FINAL_EPISODES_ELSEWHERE)
    match preset:
        case "paper" | "best":
            return Schedule(5_000, 100_000, final, final, 50_000)
        case "laptop":
            third = -(-num_steps // 3_000) * 1_000  # rounded up to the grid
            return Schedule(
                log_every=1_000,
                eval_every=third,
                eval_episodes=min(final, 20),
                final_episodes=final,
                checkpoint_every=10_000,
            )
        case "smoke":
            third = max(num_steps // 3, 1)
            return Schedule(third, third, 2, 4, third)
    raise AssertionError(preset)  # checked above


def data_options(preset: str, algo: str, config: Any, task: Task) -> DataOptions:
    """The data of a preset: whole and as recorded, but for the size of ``smoke``.

    An algorithm's module may choose others, by ``data_options(config, task)``, and its
    presets too; but what becomes of the rewards of a task of one's own is for that to
    say.
    """
    own = getattr(algorithms.lookup(algo), "data_options", None)
    chosen = dict(own(config, task)) if own else {}
    chosen |= configs.preset_data(algo, preset)
    if task.suite == OWN:
        chosen.pop("reward_transform", None)
    rewards = chosen.get("reward_transform")
    if isinstance(rewards, tuple):  # scale and shift
        chosen["reward_transform"] = transforms.given(*rewards)
    if preset == "smoke":
        chosen = {"num_transitions": _SMOKE_TRANSITIONS, **chosen}
    return DataOptions(**chosen)
