"""What the latency benchmark measures: the grid, and whether it fits in memory."""

from __future__ import annotations

import dataclasses
import itertools
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks import harness
from experiments import configs
from gem_jax import algorithms, errors, policy
from gem_jax.algorithm import Algorithm
from gem_jax.data import tasks
from gem_jax.inference import chunks
from gem_jax.training import rundir
from gem_jax.types import EnvSpec

_BYTES = 4  # of a float


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
        for batch_size in batch_sizes:
            for values in itertools.product(*(knobs[name] for name in names)):
                chosen = dict(zip(names, values, strict=True))
                policy.change_knobs(build(empty)[0].knobs, chosen)
                setting = dataclasses.replace(
                    empty, knobs=chosen, batch_size=batch_size
                )
                settings.append(setting)
    return settings


def build(setting: Setting) -> tuple[Algorithm, EnvSpec, Any]:
    """The algorithm, its environment's sizes and its configuration.

    Raises:
      UserError: there is no such method, task or run.
    """
    if setting.workdir:
        record = rundir.read_json(pathlib.Path(setting.workdir) / rundir.CONFIG)
        config, spec = policy.settings(record)
    else:
        task = tasks.get(setting.env)
        config = configs.get_config(setting.method, task, setting.preset)
        spec = harness.nominal_spec(task)
    return algorithms.make(setting.method, config, spec), spec, config


def refuse_too_large(
    settings: Sequence[Setting], free_bytes: int, *, on_cpu: bool
) -> None:
    """Estimates every setting's memory before any of them runs.

    Raises:
      UserError: one does not fit; the message says what would.
    """
    for setting in settings:
        needed = estimated_bytes(setting, on_cpu=on_cpu)
        if needed <= free_bytes:
            continue
        in_chunks = dataclasses.replace(
            setting, knobs=setting.knobs | {"chunk_size": 0}
        )
        fits = largest_that_fits(in_chunks, free_bytes, on_cpu=on_cpu)
        raise errors.UserError(
            f"--num_candidates={setting.knobs['num_candidates']} with "
            f"--batch_size={setting.batch_size} needs about {needed / 1e9:.1f} GB and "
            f"{free_bytes / 1e9:.1f} are free; in chunks (--chunk_size=0) up to "
            f"{fits} candidates fit"
        )


def estimated_bytes(setting: Setting, *, on_cpu: bool) -> int:
    """Memory of a call: activations of a chunk, and what is kept of each candidate.

    Of a method without an ensemble of critics only the latter is known.
    """
    algorithm, spec, config = build(setting)
    if "num_candidates" not in setting.knobs:
        return 0
    knobs = policy.change_knobs(algorithm.knobs, dict(setting.knobs))
    size = getattr(knobs, "set_size", knobs.num_candidates)
    automatic = chunks.CPU_CHUNK if on_cpu else chunks.ACCELERATOR_CHUNK
    rows = setting.batch_size
    if on_cpu:
        rows = min(rows, max(1, automatic // size))
    critics = getattr(config, "num_critics", 0)
    layers = 2 * critics * max(config.hidden_sizes) if critics else 0
    chunk = min(size, getattr(knobs, "chunk_size", 0) or automatic)
    # The candidate, its noise and random bits; its values, and a copy of them.
    kept = 5 * spec.action_size + 2 * critics + 4
    return _BYTES * rows * (chunk * layers + size * kept)


def largest_that_fits(setting: Setting, free_bytes: int, *, on_cpu: bool) -> int:
    """The largest power of two candidates whose estimate fits; 0 if none does."""

    def needed(count: int) -> int:
        knobs = setting.knobs | {"num_candidates": count}
        changed = dataclasses.replace(setting, knobs=knobs)
        return estimated_bytes(changed, on_cpu=on_cpu)

    fitting = (2**power for power in range(40, -1, -1))
    return next((count for count in fitting if needed(count) <= free_bytes), 0)
