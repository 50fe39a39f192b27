"""Datasets of arrays that a program holds already."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from gem_jax.data import description, loading, successors, tasks
from gem_jax.data.options import DataOptions
from gem_jax.data.readers import columns, rows
from gem_jax.data.sources import Log, Provenance

_AS_RECORDED = DataOptions()


def from_arrays(
    observation: Any,
    action: Any,
    reward: Any,
    next_observation: Any = None,
    *,
    terminal: Any,
    timeout: Any = None,
    policy: Any = None,
    task: str | tasks.Task | None = None,
    name: str = "arrays",
    options: DataOptions = _AS_RECORDED,
    log: Log = print,
    **changes: Any,
) -> loading.OfflineDataset:
    """A dataset of arrays: NumPy's, or what NumPy takes; checked as a file's are.

    They are not copied where they are float32: leave them as they are while in use.

    Rows are steps in the order in which they were made. An episode ends with a terminal
    row, a time-out, the last row, and where ``next_observation`` is not the next row.
    Without ``next_observation`` the last row of an episode that is not terminal has no
    successor and is left out.

    Args:
      observation: `[N, O]`.
      action: `[N, A]`, continuous.
      reward: `[N]`.
      next_observation: `[N, O]`; by default each row's successor is the next row.
      terminal: `[N]` 0 or 1: the task ended there, so that no value follows.
      timeout: `[N]` 0 or 1: the episode was cut off there.
      policy: `[N]` whole numbers, which policy acted; for analyses.
      task: name of the task that these are data of, path of its file, or the task; by
        default one that is told from the data, to be trained on but not evaluated.
      name: what to call the data where they are recorded.
      options: what is made of the data, but for ``n_step``.
      log: takes one line.
      **changes: fields of the options.

    Returns:
      What ``gem_jax.data.load`` returns. ``gem_jax.train(..., source=dataset)`` trains
      on the arrays, with the options of that run.

    Raises:
      UserError: odd shapes, lengths or values; discrete actions; images; data unfit for
        the task; too large for this machine.
    """
    given = {
        "observations": observation,
        "actions": action,
        "rewards": reward,
        "terminals": terminal,
        "next_observations": next_observation,
        "timeouts": timeout,
        "policy": policy,
    }
    found = {
        key: np.asarray(value) for key, value in given.items() if value is not None
    }
    columns.check(found, name)
    columns.require_room(found, name, None)
    recorded = rows.to_episodes(
        _rows(found, name), lambda line: log(f"warning: {name}: {line}")
    )
    if task is None:
        told = description.of_episodes(recorded, name, f"arrays:{name}")
        chosen = description.to_task(told)
    else:
        chosen = tasks.get(task)
    options = options.override(**changes)
    provenance = Provenance(chosen.name, "arrays", name, _sha256(found), 0, 0)
    counted = loading.counted(recorded, provenance, options.num_transitions)
    dataset = loading.prepare(*counted, chosen, options, log)
    return dataclasses.replace(dataset, recorded=tuple(recorded))


def _rows(found: dict[str, np.ndarray], name: str) -> rows.Rows:
    flags = {
        key: columns.flags(found[key], f"{name}: {key!r}")
        for key in ("terminals", "timeouts")
        if key in found
    }
    following = found.get("next_observations")
    stored = [found[key].dtype for key in found if key.endswith("observations")]
    policy = found.get("policy")
    return rows.Rows(
        observation=columns.floats(found["observations"]),
        action=columns.floats(found["actions"]),
        reward=columns.floats(found["rewards"]),
        terminal=flags["terminals"],
        end=flags["terminals"] | flags.get("timeouts", flags["terminals"]),
        next_observation=None if following is None else columns.floats(following),
        policy=None if policy is None else columns.labels(policy, f"{name}: 'policy'"),
        precision=successors.precision(*stored),
    )


def _sha256(found: dict[str, np.ndarray]) -> str:
    """Of the arrays as given, with their names, types and shapes."""
    digest = hashlib.sha256()
    for key, array in found.items():
        digest.update(f"{key} {array.dtype} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).view(np.uint8).data)
    return digest.hexdigest()
