"""Presets: how often to look, and which data to train on."""

from __future__ import annotations

import dataclasses

import jax

from gem_jax import errors
from gem_jax.data.tasks import Task
from gem_jax.data.transforms import RewardTransform


@dataclasses.dataclass(frozen=True)
class Cadence:
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


@dataclasses.dataclass(frozen=True)
class DataOptions:
    """What is taken of a source, and what is made of it; see ``gem_jax.data.load``.

    Attributes:
      num_transitions: size of locally made data, of others the leading transitions;
        ``None`` is D4RL's size, or all.
      repair: what is mended.
      reward_transform: its name or its numbers; ``None`` is the task's.
    """

    num_transitions: int | None = None
    repair: tuple[str, ...] = ()
    reward_transform: str | RewardTransform | None = None


PRESETS = ("paper", "laptop", "smoke")


def default_preset() -> tuple[str, str]:
    """The preset when none is asked for, and why."""
    if jax.default_backend() == "cpu":
        return "laptop", "no accelerator"
    return "paper", f"running on {jax.default_backend()}"


def cadence(preset: str, task: Task, num_steps: int) -> Cadence:
    """The cadence of a preset for a task and a number of updates.

    Raises:
      UserError: there is no such preset.
    """
    final = 10 if task.suite in ("locomotion", "navigation") else 100
    match preset:
        case "paper":
            return Cadence(5_000, 100_000, final, final, 50_000)
        case "laptop":
            third = -(-num_steps // 3_000) * 1_000  # rounded up to the grid
            return Cadence(
                log_every=1_000,
                eval_every=third,
                eval_episodes=min(final, 20),
                final_episodes=final,
                checkpoint_every=10_000,
            )
        case "smoke":
            third = max(num_steps // 3, 1)
            return Cadence(third, third, 2, 4, third)
    raise errors.UserError(
        f"unknown --preset={preset!r}; choose one of {', '.join(PRESETS)}"
    )


def data_options(preset: str) -> DataOptions:
    """The data of a preset: whole and as recorded, but for the size of ``smoke``."""
    return DataOptions(num_transitions=20_000 if preset == "smoke" else None)
