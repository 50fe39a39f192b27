"""The two cost shapes of candidate selection: latency and memory against N."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure


def save(path: pathlib.Path, rows: Sequence[Mapping[str, Any]], title: str) -> None:
    """Writes the figure as PNG."""
    draw(rows, title).savefig(path, dpi=120, metadata={"Software": None})


def draw(rows: Sequence[Mapping[str, Any]], title: str) -> Figure:
    """Draws one line for each method, batch size and choice of the other knobs.

    Args:
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
    return figure


def _lines(
    axes: Axes, rows: Sequence[Mapping[str, Any]], height: Any, label: str
) -> None:
    groups: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        groups.setdefault(_name(row, rows), []).append(row)
    for name, own in groups.items():
        if all("num_candidates" in row["knobs"] for row in own):
            counts = [row["knobs"]["num_candidates"] for row in own]
            axes.plot(counts, [height(row) for row in own], marker="o", label=name)
        else:
            axes.axhline(height(own[0]), linestyle="--", label=name)
    axes.set_xscale("symlog", linthresh=1)
    axes.set_yscale("log")
    axes.set_xlabel("candidates N")
    axes.set_ylabel(label)


def _name(row: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> str:
    """What tells a row's line from the others: not N, nor what is the same in all."""
    varied = [
        f", {name} {value}"
        for name, value in row["knobs"].items()
        if name != "num_candidates"
        and any(other["knobs"].get(name, value) != value for other in rows)
    ]
    return f"{row['method']}, batch {row['batch_size']}{''.join(varied)}"


def _megabytes(row: Mapping[str, Any]) -> float:
    names = ("argument_bytes", "output_bytes", "temporary_bytes")
    return sum(row[name] for name in names) / 1e6
