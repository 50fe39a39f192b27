"""How single fields of a task are told from data and what lies beside them.

Nothing that a dataset names is imported or run: an environment counts where its name is
known here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, minari, spaces, tasks

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
_UNIT = 1.0 + 1e-3  # as far as rounding may carry an action beyond [-1, 1]


def score(metadata: Mapping[str, Any], key: str) -> float | None:
    """A finite number of the metadata, or None."""
    value = metadata.get(key)
    try:
        number = float(value) if isinstance(value, int | float) else math.nan
    except OverflowError:  # a whole number of JSON has any size
        number = math.inf
    return number if math.isfinite(number) else None


def environment(
    metadata: Mapping[str, Any], asked: str | None, where: str
) -> tuple[str | None, str]:
    """The environment to evaluate in, or None, and a line on why.

    Args:
      metadata: Minari's, or none.
      asked: by the user; ``"none"`` is None.
      where: the source, for messages.

    Raises:
      UserError: the data name an environment that is not known here.
    """
    if asked == "none":
        return None, "none was asked for: training only"
    if asked:
        return asked, "as asked"
    spec = minari.environment_spec(metadata)
    if "id" not in spec:
        return None, "the data name none: training only; or name one that is registered"
    name = str(spec["id"])
    if name in _KNOWN or name in {task.env_id for task in tasks.table().values()}:
        arguments = spec.get("kwargs")
        said = f"; it was made with {arguments!r}" if arguments else ""
        return name, f"the data name it{said}"
    raise errors.UserError(
        f"{where} names the environment {name!r} (entry point "
        f"{spec.get('entry_point')!r}), which is not known and not run; write a "
        "task file by `experiments.dataset describe` with --env_id=ID of one that you "
        "have registered, or with --env_id=none to train only"
    )


def bounds(
    held: Sequence[episodes.Episode],
    metadata: Mapping[str, Any],
    of: str,
    where: str,
    unit_actions: bool,
) -> tuple[spaces.Box, str]:
    """The box of actions, and a line on how it was told.

    Args:
      held: episodes, none of them empty.
      metadata: Minari's, or none.
      of: ``"file"``, or ``"data"``, which passes over the metadata.
      where: the source, for messages.
      unit_actions: whether the layout means actions to lie in [-1, 1].

    Raises:
      UserError: bounds of the metadata are infinite; a component is never finite.
    """
    box = spaces.parse(metadata, "action_space", where) if of == "file" else None
    if box is not None:
        if not np.isfinite((*box.low, *box.high)).all():
            raise errors.UserError(
                f"{where}: its action space has no finite bounds; --bounds=data takes "
                "the extremes of the data"
            )
        return box, "of the action space beside the data"
    low = _extremes([episode.actions for episode in held], np.fmin, where)
    high = _extremes([episode.actions for episode in held], np.fmax, where)
    if unit_actions and max(np.abs(low).max(), np.abs(high).max()) <= _UNIT:
        size = len(low)
        return spaces.Box((-1.0,) * size, (1.0,) * size), "as the layout means them"
    note = "the extremes of the data; put the actuators' own where you know them"
    constant = np.flatnonzero(low == high)
    if constant.size:
        low[constant], high[constant] = low[constant] - 1, high[constant] + 1
        note += f"; components {constant.tolist()} never change: 1 around their values"
    return spaces.Box(tuple(low.tolist()), tuple(high.tolist())), note


def _extremes(arrays: Sequence[np.ndarray], ufunc: np.ufunc, where: str) -> np.ndarray:
    """`[A]` float64 least or largest finite action, as a decimal number says it."""
    finite = (np.where(np.isfinite(array), array, np.nan) for array in arrays)
    found = ufunc.reduce([ufunc.reduce(array) for array in finite])
    if not np.isfinite(found).all():
        raise errors.UserError(f"{where}: a component of the actions is never finite")
    return np.array([float(str(value)) for value in found.astype(np.float32)])
