"""Whether a dataset fits in memory, told by its sizes before anything is read."""

from __future__ import annotations

from gem_jax import errors
from gem_jax.utils import memory

_BYTES = 4  # of a float32


def require(
    where: str, steps: int, observation_size: int, action_size: int, limit: int | None
) -> None:
    """Refuses what would not fit, and says how much of it would.

    A step is held three times: as it was read, in the flat arrays, and in those that
    training samples from; an observation twice in each of the latter, and up to three
    times in the former, where a file gives successors of its own.

    Args:
      where: the file or dataset, for the message.
      steps: that it holds, or may hold.
      observation_size: numbers in an observation.
      action_size: numbers in an action.
      limit: of the leading steps, how many are to be read; ``None`` is all.

    Raises:
      UserError: names the flag that reads the leading part, and how large that may be.
    """
    wanted = steps if limit is None else min(limit, steps)
    step = _BYTES * (7 * observation_size + 3 * action_size + 6)
    free = memory.free_bytes()
    if wanted * step <= free:
        return
    raise errors.UserError(
        f"{where}: {wanted:,} steps take about {wanted * step / 1e9:.1f} GB and "
        f"{free / 1e9:.1f} are free; read the leading ones by "
        f"--num_transitions={free // step} or less"
    )
