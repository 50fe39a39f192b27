"""What a run is, and what its folder says about it."""

from __future__ import annotations

import dataclasses
import importlib.metadata
import json
import pathlib
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np

from gem_jax import __version__, algorithms, data, errors
from gem_jax.data import task_file, tasks
from gem_jax.data.options import DataOptions
from gem_jax.data.task import OWN, Task
from gem_jax.runs import presets, statistics
from gem_jax.training import checkpoint, results, rundir
from gem_jax.types import EnvSpec

RESUME = ("auto", "never", "must")
_PACKAGES = ("gem_jax", "jax", "flax", "optax", "orbax-checkpoint", "mujoco", "numpy")


@dataclasses.dataclass(frozen=True, kw_only=True)
class OnlineOptions:
    """How a run goes on in the environment after its data.

    Attributes:
      num_steps: environment steps, and gradient steps, of each seed.
      share: of every batch, the transitions collected there; the rest are of the data.
    """

    num_steps: int
    share: float = 0.5

    def __post_init__(self) -> None:
        if not isinstance(self.num_steps, int) or self.num_steps < 1:
            raise errors.UserError(
                f"online steps must be a whole number from 1 on, got {self.num_steps!r}"
            )
        if not 0.0 < self.share <= 1.0:
            raise errors.UserError(
                f"the online share of a batch must be above 0 and up to 1, got "
                f"{self.share:g}"
            )


@dataclasses.dataclass(frozen=True)
class Run:
    """Everything that decides a run.

    Attributes:
      task: row of the task table, or one's own.
      algo: registered name.
      config: that algorithm's settings.
      source: where the data come from, or a dataset; see ``gem_jax.data.load``.
      preset: name, for the record.
      schedule: lengths and intervals.
      data: what is taken of the source, and what is made of it.
      seeds: trained side by side.
      workdir: the run folder.
      command: for the record.
      online: training in the environment that follows; ``None`` for none.
    """

    task: Task
    algo: str
    config: Any
    source: str | data.OfflineDataset
    preset: str
    schedule: presets.Schedule
    data: DataOptions
    seeds: tuple[int, ...]
    workdir: pathlib.Path
    command: str
    online: OnlineOptions | None = None


def describe(run: Run, spec: EnvSpec, provenance: data.Provenance) -> dict[str, Any]:
    """The content of config.json; its ``identity`` is what a checkpoint must match."""
    config = dataclasses.asdict(run.config)
    versions = {name: _version(name) for name in _PACKAGES}
    assert provenance.rewards is not None  # loaded
    # The table has the others, and folders from before there were any of one's own.
    own = {"task": task_file.fields(run.task)} if run.task.suite == OWN else {}
    return {
        "env": run.task.name,
        **own,
        "algo": run.algo,
        "preset": run.preset,
        "source": provenance.source,
        "seeds": list(run.seeds),
        "config": config,
        "schedule": dataclasses.asdict(run.schedule),
        "spec": spec._asdict(),
        "data": dataclasses.asdict(run.data),
        "format": rundir.FORMAT,
        "identity": {
            "env": run.task.name,
            **own,
            "algo": run.algo,
            "seeds": list(run.seeds),
            "config": config,
            "log_every": run.schedule.log_every,
            "dataset": provenance.sha256,
            "num_transitions": run.data.num_transitions,
            "num_used": spec.num_transitions,
            "repair": run.data.repair,
            "best_share": run.data.best_share,
            "n_step": run.data.n_step,
            "rewards": dataclasses.asdict(provenance.rewards),
        },
        "command": run.command,
        "versions": versions | {"python": platform.python_version()},
        "platform": f"{jax.default_backend()} {jax.devices()[0].device_kind}",
    }


def summarize(
    run: Run, dataset: data.OfflineDataset, wall_seconds: float
) -> dict[str, Any]:
    """The content of summary.json, from the lines that the run has written."""
    rows = rundir.read_lines(run.workdir / rundir.EVAL)
    metrics = rundir.read_lines(run.workdir / rundir.METRICS)
    last = max(row["step"] for row in rows or metrics)
    rows = [row for row in rows if row["step"] == last]
    rates = [
        row["updates_per_second"]
        for row in metrics
        if row["phase"] == metrics[-1]["phase"]
    ]
    return {
        "env": run.task.name,
        "algo": run.algo,
        "online_steps": run.online.num_steps if run.online else 0,
        "source": dataset.provenance.source,
        "dataset": dataset.provenance.id,
        "behavior_score": dataset.behavior_score,
        "behavior_return": dataset.behavior_return,
        "preset": run.preset,
        "steps": last,
        "seeds": list(run.seeds),
        "normalized_score": _over_seeds(rows, "normalized_score"),
        "return_mean": _over_seeds(rows, "return_mean"),
        "success_rate": _over_seeds(rows, "success_rate"),
        "wall_seconds": wall_seconds,
        # The median leaves compilation and a busy moment out.
        "updates_per_second": float(np.median(rates)),
    }


def _over_seeds(rows: Sequence[Mapping[str, Any]], name: str) -> dict[str, Any] | None:
    """A quantity of the last evaluation; ``None`` where it was not measured."""
    values = results.of_seeds(rows, name)
    return None if values is None else over_seeds(values)


def over_seeds(values: Sequence[float]) -> dict[str, Any]:
    """Mean and spread of a quantity of each seed, as in summary.json."""
    return {
        "mean": float(np.mean(values)),
        "std": statistics.sample_std(values),  # ddof = 1, over seeds
        "per_seed": list(values),
    }


def headline(summary: Mapping[str, Any]) -> str:
    """What the summary says of the policies, in words."""
    if summary["return_mean"] is None:
        return f"not evaluated, since {summary['env']} names no environment"

    def show(value: Mapping[str, Any], form: str) -> str:
        return f"{value['mean']:{form}} +- {value['std']:{form}}"

    return f"{results.headline(summary, show)} over {len(summary['seeds'])} seed(s)"


def check_identity(workdir: pathlib.Path, record: Mapping[str, Any]) -> dict[str, Any]:
    """Refuses a folder whose run was another one, with or without its checkpoints.

    A setting that the run's version did not have yet stands at its default: a new one
    does nothing unless it is asked for.

    Returns:
      The identity that the folder's checkpoints carry.
    """
    wanted = json.loads(json.dumps(record["identity"]))  # tuples become lists, as saved
    if not (workdir / rundir.CONFIG).exists():
        return wanted
    saved = rundir.read_json(workdir / rundir.CONFIG)["identity"]
    defaults = dataclasses.asdict(algorithms.config_class(record["algo"])())
    completed = {**saved, "config": json.loads(json.dumps(defaults)) | saved["config"]}
    if "task" in saved:
        own = task_file.fields(tasks.of_run(saved))
        completed["task"] = json.loads(json.dumps(own))
    checkpoint.check_config(completed, wanted, workdir)
    return saved


def check_resume(workdir: pathlib.Path, resume: str) -> None:
    """Refuses to begin or to continue against the user's word, or another's folder.

    Raises:
      UserError: there is a run, or none; another version wrote it; or ``resume`` is no
        such word.
    """
    if resume not in RESUME:
        raise errors.UserError(f"resume={resume!r} must be one of {', '.join(RESUME)}")
    if (workdir / rundir.CONFIG).exists():
        rundir.require_format(rundir.read_json(workdir / rundir.CONFIG))
    begun = any(
        (workdir / name).exists() for name in (rundir.CONFIG, checkpoint.FOLDER)
    )
    if resume == "never" and begun:
        raise errors.UserError(
            f"{workdir} already holds a run; give another --workdir or --resume=auto"
        )
    if resume == "must" and not begun:
        raise errors.UserError(
            f"{workdir} holds no run to continue; check --workdir or drop --resume=must"
        )


def complete(workdir: pathlib.Path, step: int, num_steps: int) -> bool:
    """Whether nothing is left to do; a damaged last checkpoint leaves some."""
    return step == num_steps and (workdir / rundir.SUMMARY).exists()


def lengthen(workdir: pathlib.Path, record: Mapping[str, Any]) -> None:
    """Has the folder tell of the steps online that it is asked for, if these are more.

    Its summary, of fewer, makes way for the one to come.
    """
    path = workdir / rundir.CONFIG
    begun = rundir.read_json(path)["identity"] if path.exists() else {}
    if begun.get("online") != record["identity"].get("online"):
        (workdir / rundir.SUMMARY).unlink(missing_ok=True)
        rundir.write_json(path, record)


def _version(package: str) -> str:
    if package == "gem_jax":  # what runs, whatever was installed
        return __version__
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
