"""What the latency benchmark measures: the grid, and whether it fits in memory."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import harness
from gem_jax import algorithms, configs, policy, run_settings
from gem_jax.algorithm import Algorithm
from gem_jax.data import tasks
from gem_jax.runs import candidate_memory
from gem_jax.training import rundir
from gem_jax.types import EnvSpec


@dataclasses.dataclass(frozen=True)
class Setting:
    """One row of the table; JSON between the command and its child process.

    Attributes:
      method: name of an algorithm.
      env: task that gives the shapes.
      preset: of the settings.
      workdir: run folder whose weights act; fresh weights when ``None``.
      knobs: those of the algorithm's knobs that the grid sets.
      batch_size: B, states a call.
      calls: timed calls, at most.
      seconds: after which no further call is timed.
    """

    method: str
    env: str
    preset: str
    workdir: str | None
    knobs: Mapping[str, int | str]
    batch_size: int
    calls: int
    seconds: float


def grid(
    methods: Sequence[str],
    knobs: Mapping[str, Sequence[int | str]],
    **shared: Any,
) -> list[Setting]:
    """Every method with every value of those knobs that it has, at every batch size.

    N = 0 is left out of methods that have no anchor.

    Args:
      methods: names of algorithms.
      knobs: values by knob.
      **shared: the other fields of ``Setting``, but ``batch_sizes`` for ``batch_size``.

    Raises:
      UserError: a method, task or run does not exist, or a value is out of range.
    """
    settings = []
    batch_sizes = shared.pop("batch_sizes")
    for method in methods:
        empty = Setting(method, knobs={}, batch_size=1, **shared)
        own = vars(build(empty)[0].knobs) if build(empty)[0].knobs else {}
        names = [name for name in knobs if name in own]
        combinations = itertools.product(*(knobs[name] for name in names))
        accepted = _accepted(empty, [dict(zip(names, c)) for c in combinations])
        settings += [
            dataclasses.replace(empty, knobs=chosen, batch_size=batch_size)
            for batch_size in batch_sizes
            for chosen in accepted
        ]
    return settings


def _accepted(empty: Setting, asked: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Those that the method can take."""
    knobs = build(empty)[0].knobs
    needs_samples = hasattr(knobs, "num_candidates") and not hasattr(knobs, "anchor")
    accepted = [
        chosen
        for chosen in asked
        if not (needs_samples and chosen.get("num_candidates") == 0)
    ]
    for chosen in accepted:
        policy.change_knobs(knobs, chosen)
    return accepted


def build(setting: Setting) -> tuple[Algorithm, EnvSpec, Any]:
    """The algorithm, its environment's sizes and its configuration.

    Raises:
      UserError: there is no such method, task or run.
    """
    if setting.workdir:
        record = rundir.read_json(pathlib.Path(setting.workdir) / rundir.CONFIG)
        config, spec = run_settings.settings(record)
    else:
        task = tasks.get(setting.env)
        config = configs.get_config(setting.method, task, setting.preset)
        spec = harness.nominal_spec(task)
    return algorithms.make(setting.method, config, spec), spec, config


def refuse_too_large(settings: Sequence[Setting], free: int, *, on_cpu: bool) -> None:
    """Estimates every setting's memory before any of them runs.

    Raises:
      UserError: one does not fit; the message says what would.
    """
    for setting in settings:
        algorithm, spec, config = build(setting)
        knobs = policy.change_knobs(algorithm.knobs, dict(setting.knobs))
        rows = setting.batch_size
        candidate_memory.require(knobs, config, spec, rows, free, on_cpu=on_cpu)
