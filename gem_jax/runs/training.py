"""Training in one call."""

from __future__ import annotations

import os
import pathlib
from collections.abc import Callable
from typing import Any

from gem_jax import policy
from gem_jax.data import OfflineDataset, sources
from gem_jax.data.task import Task
from gem_jax.policy import Policy
from gem_jax.runs import going_online, resolve, runner


def train(
    env: str | Task,
    algo: str = "gem",
    *,
    source: str | os.PathLike[str] | OfflineDataset = "auto",
    seed: int = 0,
    preset: str = "laptop",
    workdir: str | pathlib.Path | None = None,
    resume: str = "auto",
    data: dict[str, Any] | None = None,
    log: Callable[[str], None] = print,
    progress: bool = True,
    online_steps: int = 0,
    online_share: float = 0.5,
    **config: Any,
) -> Policy:
    """Trains, evaluates, and returns the trained policy.

    Does what ``python -m experiments.train`` does, and writes the same run folder, so
    that a call which was interrupted continues when it is made again.

    Args:
      env: name of the task, such as ``"antmaze-umaze-v2"``; or the path of a file of
        one's own, or such a task, ``gem_jax.data.Task``; or ``"minari:ID"``.
      algo: registered name.
      source: of the data, see ``gem_jax.data.load``; or a dataset, of
        ``gem_jax.data.from_arrays``.
      seed: of everything that is drawn.
      preset: ``"laptop"``, ``"best"``, ``"paper"`` or ``"smoke"``.
      workdir: the run folder; by default ``runs/ENV/ALGO/seedS``.
      resume: ``"auto"``, ``"never"`` or ``"must"``.
      data: fields of ``gem_jax.data.DataOptions``.
      log: takes one line.
      progress: whether to show progress, on stderr.
      online_steps: environment steps, and as many gradient steps, after the data; the
        policy returned is that of the folder ``online`` in the run's.
      online_share: of each of their batches, what was collected there.
      **config: fields of the algorithm's ``Config``, such as ``num_steps=20_000``.

    Raises:
      UserError: names or values that cannot be meant, data that are unfit, or a folder
        that holds another run.
      FloatingPointError: training diverged.
    """
    if isinstance(source, os.PathLike):
        source = sources.of_file(source)
    named_source = (
        source.provenance.id if isinstance(source, OfflineDataset) else source
    )
    said = dict(
        source=named_source, seed=seed, preset=preset, workdir=workdir, data=data
    )
    if online_steps:
        said |= dict(online_steps=online_steps, online_share=online_share)
    name = repr(env.name if isinstance(env, Task) else env)
    named = [name, repr(algo), *(f"{k}={v!r}" for k, v in (said | config).items())]
    run = resolve.resolve(
        env,
        algo,
        preset,
        source=source,
        seeds=(seed,),
        workdir=workdir,
        config=config,
        data=data,
        command=f"gem_jax.train({', '.join(named)})",
        online_steps=online_steps,
        online_share=online_share,
    )
    runner.train(run, resume=resume, log=log, show_progress=progress)
    folder = run.workdir / going_online.FOLDER if run.online else run.workdir
    return policy.load(folder)
