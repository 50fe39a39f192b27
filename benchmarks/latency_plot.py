"""The two cost shapes of candidate selection: latency and memory against N."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def save(path: pathlib.Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Draws one line for each method and batch size.

    Args:
      path: of the PNG file.
      rows: what ``latency_measure.measure`` returned; those without a number of
        candidates become level lines.
      title: says where the numbers come from.
    """
    figure = Figure(figsize=(10, 4), layout="constrained")
    figure.suptitle(title)
    left, right = figure.subplots(1, 2)
    _lines(left, rows, lambda row: 1e3 * row["p50"], "p50 latency of a call (ms)")
    _lines(right, rows, _megabytes, "memory of a call (MB)")
    left.legend(fontsize="small")
    figure.savefig(path, dpi=120, metadata={"Software": None})


def _lines(
    axes: Axes, rows: Sequence[Mapping[str, Any]], height: Any, label: str
) -> None:
    groups: dict[tuple[str, int], list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault((row["method"], row["batch_size"]), []).append(row)
    for (method, batch_size), own in groups.items():
        name = f"{method}, batch {batch_size}"
        if all("num_candidates" in row["knobs"] for row in own):
            counts = [row["knobs"]["num_candidates"] for row in own]
            axes.plot(counts, [height(row) for row in own], marker="o", label=name)
        else:
            axes.axhline(height(own[0]), linestyle="--", label=name)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xlabel("candidates N")
    axes.set_ylabel(label)


def _megabytes(row: Mapping[str, Any]) -> float:
    names = ("argument_bytes", "output_bytes", "temporary_bytes")
    return sum(row[name] for name in names) / 1e6
