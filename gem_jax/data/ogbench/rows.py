"""OGBench's rows of the table of tasks: seven worlds, two sets each, five tasks."""

from __future__ import annotations

from collections.abc import Iterator

from gem_jax import ogbench_worlds
from gem_jax.data.ogbench import SUITE, dataset
from gem_jax.data.task import OriginalFile, Task

_MILLION = 1_000_000
# Recipe, and the two sets of each world.
_ARM = ("ogbench_arm", ("play", "noisy"))
_POINT = ("ogbench_pointmaze", ("navigate", "stitch"))


def rows() -> Iterator[Task]:
    """A name without a number is OGBench's for the world's default task."""
    for world, facts in ogbench_worlds.WORLDS.items():
        recipe, variants = _POINT if world.startswith("pointmaze") else _ARM
        for variant in variants:
            for suffix, number in _numbers(facts):
                yield Task(
                    name=f"{world}-{variant}-singletask{suffix}-v0",
                    suite=SUITE,
                    world=world,
                    variant=variant,
                    env_id=ogbench_worlds.env_id(world, number),
                    observation_size=facts.observation_size,
                    action_size=facts.action_size,
                    motion=None,
                    num_transitions=_MILLION,
                    horizon=facts.horizon,
                    min_score=0.0,
                    max_score=1.0,
                    reward_transform="identity",
                    original=OriginalFile(
                        f"{world}-{variant}-v0.npz", None, None, publisher=SUITE
                    ),
                    recipe=recipe,
                    scored_by="success",
                )


def _numbers(facts: ogbench_worlds.World) -> list[tuple[str, int]]:
    numbered = [(f"-task{number}", number) for number in ogbench_worlds.NUMBERS]
    return [("", facts.default_task), *numbered]


def tasks_of(name: str) -> list[str]:
    """The five numbered tasks of one of OGBench's sets; [] for any other name."""
    mine = [task.name for task in rows() if dataset(task) == name]
    return mine[1:]  # the first is the default task, which is one of them
