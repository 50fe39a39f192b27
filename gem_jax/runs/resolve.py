"""From names and single settings to a run: what a command line and a call share."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gem_jax import algorithms, configs, errors
from gem_jax.data import OfflineDataset, sources, tasks
from gem_jax.data.task import Task
from gem_jax.runs import presets
from gem_jax.runs.run_record import OnlineOptions, Run

_MOST_SEEDS = 10_000


def resolve(
    env: str | Task,
    algo: str,
    preset: str,
    *,
    source: str | os.PathLike[str] | OfflineDataset = "auto",
    seeds: Sequence[int] = (0,),
    workdir: str | pathlib.Path | None = None,
    config: Mapping[str, Any] | None = None,
    data: Mapping[str, Any] | None = None,
    command: str = "",
    online_steps: int = 0,
    online_share: float = 0.5,
) -> Run:
    """The run that is asked for, with the rest by algorithm, task and preset.

    Args:
      env: name of the task, path of its file, ``"minari:ID"``, or the task.
      algo: registered name.
      preset: one of ``presets.PRESETS``.
      source: of the data, or a file's path, or the data themselves.
      seeds: trained side by side.
      workdir: by default ``runs/ENV/ALGO/seedS``.
      config: fields of the algorithm's configuration that differ.
      data: fields of ``DataOptions`` that differ; those that are ``None`` do not.
      command: for the record.
      online_steps: of training in the environment after the data.
      online_share: of each of its batches, what was collected there.

    Raises:
      UserError: there is no such task, algorithm, preset, field or option, or a value
        is out of range.
    """
    if isinstance(source, os.PathLike):
        source = sources.of_file(source)
    if not isinstance(source, str | OfflineDataset):
        raise errors.UserError(
            f"source={source!r} is neither a source's name nor a path nor a dataset"
        )
    task = tasks.get(env)
    settings = default_config(task, algo, preset)
    if not 0 < len(seeds) <= _MOST_SEEDS:
        raise errors.UserError(
            f"one to {_MOST_SEEDS:,} seeds train side by side, not {len(seeds):,}"
        )
    seeds = [int(s) if isinstance(s, np.integer) else s for s in seeds]
    if not all(isinstance(s, int) and 0 <= s < 2**31 for s in seeds):
        raise errors.UserError(f"seeds {list(seeds)} must be from 0 to {2**31 - 1}")
    known = [field.name for field in dataclasses.fields(settings)]
    for name in config or {}:
        if name not in known:
            raise errors.UserError(
                f"{algo} has no setting {name}; it has {', '.join(known)}"
            )
    try:
        settings = dataclasses.replace(settings, **_typed(settings, config or {}))
    except (TypeError, ValueError) as error:
        raise errors.UserError(f"--config: {error}") from None
    options = presets.data_options(preset, algo, settings, task).override(**data or {})
    folder = workdir or f"runs/{task.name}/{algo}/seed{seeds[0]}"
    return Run(
        task=task,
        algo=algo,
        config=settings,
        source=source,
        preset=preset,
        schedule=presets.schedule(preset, task, settings.num_steps),
        data=options,
        seeds=tuple(seeds),
        workdir=pathlib.Path(folder).expanduser().resolve(),
        command=command,
        online=(
            OnlineOptions(num_steps=online_steps, share=online_share)
            if online_steps
            else None
        ),
    )


def _typed(settings: Any, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The changes as the settings' own types: lists as tuples, whole numbers as floats.

    Raises:
      TypeError: a value has another type.
    """
    typed = {}
    for name, value in changes.items():
        kind = type(getattr(settings, name))
        if kind is tuple and isinstance(value, list):
            value = tuple(value)
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            value = float(value)
        if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
            raise TypeError(f"{name} must be {kind.__name__}, got {value!r}")
        typed[name] = value
    return typed


def default_config(env: str | Task, algo: str, preset: str) -> Any:
    """The settings of an algorithm for a task under a preset.

    Raises:
      UserError: there is no such task, algorithm or preset.
    """
    algorithms.lookup(algo)
    presets.check(preset)
    return configs.get_config(algo, tasks.get(env), preset)
