"""Latency and memory of acting, against the number of candidates.

    python -m benchmarks.latency --output=latency.json

Every setting runs in a process of its own, so that the time to the first action counts
everything, and the allocator's peak one setting alone. A row has the time to the first
action, quantiles of the whole call from numpy to numpy, where enough calls were timed
for them, the medians of its parts, and the ratio of the program to the bare matrix
products of its critics. Calls and parts take turns of up to ten in a row, so that a
busy moment of the machine meets all of them.
"""

from __future__ import annotations

import csv
import dataclasses
import json
import pathlib
import subprocess
import sys
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any

from absl import flags

from benchmarks import harness
from benchmarks.latency import plot as latency_plot
from benchmarks.latency import settings as latency_settings
from experiments.lib import cli
from gem_jax import errors
from gem_jax.runs import presets
from gem_jax.training import rundir
from gem_jax.utils import progress

_METHODS = flags.DEFINE_list("methods", ["gem"], "Algorithms.")
_ENV = flags.DEFINE_string("env", "antmaze-umaze-v2", "Task that gives the shapes.")
_PRESET = flags.DEFINE_enum("preset", "paper", presets.PRESETS, "Of the settings.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Run folder to take the weights from.")
_BATCHES = flags.DEFINE_list("batch_size", ["1", "16", "256"], "States a call.")
_CALLS = flags.DEFINE_integer("calls", 200, "Timed calls a setting, at most.", 2)
_SECONDS = flags.DEFINE_float("seconds", 10.0, "Timed seconds a setting.", 0.0)
_OUTPUT = flags.DEFINE_string("output", None, "Write JSON here.")
_PLOT = flags.DEFINE_string("plot", None, "PNG; beside --output if not given.")
_KNOBS = {
    "num_candidates": flags.DEFINE_list(
        "num_candidates", ["0", "1", "64", "1024", "2048"], "N of candidate methods."
    ),
    "sampling_steps": flags.DEFINE_list(
        "sampling_steps", ["10", "20", "50", "100"], "T of iterative methods."
    ),
    "chunk_size": flags.DEFINE_list(
        "chunk_size", ["0"], "Candidates scored at a time; 0 suits the platform."
    ),
}
_DTYPES = flags.DEFINE_list(
    "critic_dtype", ["float32"], "Of the critics' hidden layers; also bfloat16."
)
_HEADER = (
    *("method", "knobs", "B", "first s", "p50 ms", "p95", "p99", "dispatch"),
    *("transfer", "compute", "bare", "ratio", "temp MB", "peak MB", "GFLOP/s", "share"),
)


def main(argv: list[str]) -> None:
    """Measures every setting; prints, writes and draws."""
    cli.no_arguments(argv)
    cli.require_file("output", _OUTPUT.value)
    settings = asked_settings()
    survey = child()
    on_cpu = survey["machine"]["platform"].startswith("cpu")
    latency_settings.refuse_too_large(settings, survey["free_bytes"], on_cpu=on_cpu)
    bar = progress.Progress("latency", len(settings), "settings")
    rows = []
    for setting in settings:
        rows.append(child(json.dumps(dataclasses.asdict(setting))))
        bar.add(1)
    platform = survey["machine"]["platform"]
    print(f"{platform}, times in ms")
    print(harness.table(_HEADER, [cells(row) for row in rows]))
    print(
        "\nPublished elsewhere (arXiv 2603.23232, Table 3, its own machine and sizes):"
    )
    print(published())
    write(survey["machine"], rows)


def asked_settings() -> list[latency_settings.Setting]:
    """The grid of the command line.

    Raises:
      UserError: a flag's value makes no sense.
    """
    methods, env = _METHODS.value, _ENV.value
    if _WORKDIR.value:
        record = rundir.read_json(pathlib.Path(_WORKDIR.value) / rundir.CONFIG)
        methods, env = [record.get("algo", "")], record.get("env", "")
    else:
        harness.require_methods(methods or [""])
    knobs = {
        name: harness.whole_numbers(name, flag.value, 0)
        for name, flag in _KNOBS.items()
    } | {"critic_dtype": _DTYPES.value or [""]}  # which is refused
    return latency_settings.grid(
        methods,
        knobs,
        batch_sizes=harness.whole_numbers("batch_size", _BATCHES.value, 1),
        env=env,
        preset=_PRESET.value,
        workdir=_WORKDIR.value,
        calls=_CALLS.value,
        seconds=_SECONDS.value,
    )


def child(*arguments: str) -> dict[str, Any]:
    """What the child process prints.

    Raises:
      UserError: it found the user's mistake, say a run without checkpoints.
      RuntimeError: it failed; its own words are on stderr.
    """
    command = [sys.executable, "-m", "benchmarks.latency.child", *arguments]
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode:
        raise RuntimeError(f"the process of {arguments} failed")
    report = json.loads(result.stdout.splitlines()[-1])
    if "user_error" in report:
        raise errors.UserError(report["user_error"])
    return report


def cells(row: Mapping[str, Any]) -> list[str]:
    """A row of the table."""
    first = ("import_seconds", "load_seconds", "compile_seconds", "first_run_seconds")
    times = ("p50", "p95", "p99", "dispatch", "transfer", "compute", "bare_critics")
    return [
        row["method"],
        " ".join(str(value) for value in row["knobs"].values()) or "-",
        str(row["batch_size"]),
        f"{sum(row[name] for name in first):.1f}",
        *(number(row[name], 1e3, 3) for name in times),
        number(row["ratio_to_bare"], 1, 2),
        number(row["temporary_bytes"], 1e-6, 2),
        number(row["allocator_peak_bytes"], 1e-6, 1),
        number(row["flops_per_second"], 1e-9, 1),
        number(row["share_of_peak"], 1, 2),
    ]


def number(value: float | None, factor: float, digits: int) -> str:
    """A cell; a dash where nothing was measured."""
    return "-" if value is None else f"{factor * value:.{digits}f}"


def published() -> str:
    """The paper's table, for reading beside one's own."""
    path = resources.files("benchmarks.latency").joinpath("published_latency.csv")
    text = path.read_text()
    header, *rows = csv.reader(text.splitlines())
    return harness.table(header, rows)


def write(machine: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """The files that were asked for."""
    if _OUTPUT.value:
        record = {**machine, "rows": rows}
        rundir.write_json(pathlib.Path(_OUTPUT.value), record)
    plot = _PLOT.value
    if _OUTPUT.value and not plot:
        plot = str(pathlib.Path(_OUTPUT.value).with_suffix(".png"))
    if plot:
        title = f"{rows[0]['env']} shapes, {machine['platform']}"
        latency_plot.save(pathlib.Path(plot), rows, title)


if __name__ == "__main__":
    cli.run(main)
