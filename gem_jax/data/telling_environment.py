"""The environment that a dataset's metadata name.

Nothing that they name is imported, run or opened: an environment counts where its name
is known here, and of its arguments those that are numbers.
"""

from __future__ import annotations

import dataclasses
import math
import reprlib
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax import errors
from gem_jax.data import minari, tasks
from gem_jax.data.task import NOT_THE_ENVIRONMENTS

_ROBOTS = (
    *("Ant", "HalfCheetah", "Hopper", "Humanoid", "HumanoidStandup"),
    *("InvertedDoublePendulum", "InvertedPendulum", "Pusher", "Reacher"),
    *("Swimmer", "Walker2d"),
)
# Gymnasium's own environments of continuous actions.
_KNOWN = {
    *(f"{robot}-{version}" for robot in _ROBOTS for version in ("v4", "v5")),
    *("Pendulum-v1", "MountainCarContinuous-v0"),
}
# Of the picture, or of how it is made; nothing that is learned depends on them.
_PASSED_OVER = (
    *("render_mode", "camera_id", "camera_name", "default_camera_config"),
    *("width", "height", *NOT_THE_ENVIRONMENTS),
)
_LONGEST = 2**31 - 1  # limit of steps that is meant


@dataclasses.dataclass(frozen=True)
class Environment:
    """Attributes:
    id: gymnasium's; None where there is nothing to evaluate in.
    kwargs: for its constructor.
    limit: its steps, or None where unknown.
    note: one line on how this was told.
    """

    id: str | None
    kwargs: Mapping[str, Any]
    limit: int | None
    note: str


def environment(
    metadata: Mapping[str, Any], asked: str | None, where: str
) -> Environment:
    """The environment to evaluate in.

    Args:
      metadata: Minari's, or none.
      asked: by the user, who then answers for its arguments too; ``"none"`` is none.
      where: the source, for messages.

    Raises:
      UserError: the data name an environment that is not known here, or one with
        arguments that may name a file.
    """
    if asked == "none":
        return Environment(None, {}, None, "none was asked for: training only")
    if asked:
        return Environment(asked, {}, None, "as asked")
    spec = minari.environment_spec(metadata)
    if "id" not in spec:
        note = "the data name none: training only; or name one that is registered"
        return Environment(None, {}, None, note)
    name = str(spec["id"])
    if name not in _KNOWN | {task.env_id for task in tasks.table().values()}:
        raise errors.UserError(
            f"{where} names the environment {name!r} (entry point "
            f"{spec.get('entry_point')!r}), which is not known and not run; write a "
            "task file by `experiments.dataset describe` with --env_id=ID of one that "
            "you have registered, or with --env_id=none to train only"
        )
    limit = spec.get("max_episode_steps")
    return Environment(
        name,
        _numbers(spec.get("kwargs"), name, where),
        limit if type(limit) is int and 0 < limit <= _LONGEST else None,
        "the data name it",
    )


def _numbers(kwargs: Any, name: str, where: str) -> dict[str, Any]:
    """The arguments of an environment that are set, if all are numbers."""
    kept = {}
    for key, value in (kwargs if isinstance(kwargs, Mapping) else {}).items():
        if key in _PASSED_OVER or value is None:
            continue
        if not _is_numeric(value):
            raise errors.UserError(
                f"{where} was made in {name} with {reprlib.repr(key)} = "
                f"{reprlib.repr(value)}, which is no number "
                "and may name a file; write a task file by `experiments.dataset "
                f"describe` with --env_id={name}, and env_kwargs as you trust them"
            )
        kept[str(key)] = value
    return kept


def _is_numeric(value: Any) -> bool:
    """Whether it is a finite number, true or false, or a list of such."""
    if isinstance(value, Sequence) and not isinstance(value, str):
        return all(
            type(part) in (int, float, bool) and _is_numeric(part) for part in value
        )
    try:
        return isinstance(value, int | float) and math.isfinite(value)
    except OverflowError:  # a whole number of JSON has any size
        return False
