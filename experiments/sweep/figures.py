"""Figures of a sweep: what each knob does to the score and to the diagnostics."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from experiments.lib import intervals, knob_flags
from experiments.sweep.report import Result
from gem_jax.runs import statistics


def draw(
    results: Sequence[Result],
    table: pathlib.Path,
    ablations: Mapping[str, Mapping[str, Any]],
) -> list[pathlib.Path]:
    """Draws the figures that the settings allow, as PNG beside the table.

    One for each numeric knob of which there are several values, all other knobs being
    the run's own; and the ablations' differences.
    """
    task = results[0].rows[0]
    title = f"{task['env']}, {task['algo']}, data: {task['source']}"
    drawn = []
    for name in knob_flags.names(results[0].knobs[0]):
        curve = _differing_in(results, name)
        if len(curve) > 1 and _is_number(getattr(curve[0].knobs[0], name)):
            figure = Figure(figsize=(3.4 * _panels(curve), 3.5), layout="constrained")
            _against_knob(figure, curve, name)
            drawn.append(_save(figure, title, table, name))
    changes = _differences(results, ablations)
    if changes:
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        _bars(figure, changes, results[0].word)
        drawn.append(_save(figure, title, table, "ablations"))
    return drawn


def _save(figure: Figure, title: str, table: pathlib.Path, name: str) -> pathlib.Path:
    figure.suptitle(title)
    path = table.with_name(f"{table.stem}_{name}.png")
    figure.savefig(path, dpi=100, metadata={"Software": None})
    return path


def _panels(results: Sequence[Result]) -> int:
    return 1 + len(results[0].diagnostics)


def _against_knob(figure: Figure, results: Sequence[Result], name: str) -> None:
    x = [float(getattr(result.knobs[0], name)) for result in results]
    scores = "normalized_score" if results[0].task.is_scored else "return_mean"
    columns = (scores, *results[0].diagnostics)
    panels = figure.subplots(1, len(columns), squeeze=False)[0]
    for axes, column in zip(panels, columns, strict=True):
        values = np.array(
            [r.means() if column == scores else r.column(column) for r in results]
        )
        spread = statistics.sample_std(values, axis=1)
        axes.errorbar(x, values.mean(axis=1), spread, marker="o", capsize=3)
        if all(value == int(value) for value in x):  # counts, 0 among them
            axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel=name, ylabel=column)


def _differences(
    results: Sequence[Result], ablations: Mapping[str, Mapping[str, Any]]
) -> dict[str, np.ndarray]:
    """Of each ablation's scores from the run's own, on the same episodes."""
    own = results[0]
    return {
        name: result.scores() - own.scores()
        for name, setting in ablations.items()
        for result in results
        if list(result.knobs) == [_changed(knobs, setting) for knobs in own.knobs]
    }


def _bars(figure: Figure, changes: Mapping[str, np.ndarray], word: str) -> None:
    axes = figure.subplots()
    means = np.array([change.mean() for change in changes.values()])
    ends = [intervals.bootstrap(change, np.mean) for change in changes.values()]
    axes.bar([*changes], means, yerr=np.abs(np.array(ends).T - means), capsize=3)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(ylabel=f"change of mean {word}, 95 %")


def _differing_in(results: Sequence[Result], name: str) -> list[Result]:
    """The run's own setting and those that differ in one knob alone, by its value."""

    def others(result: Result) -> list[Any]:
        pairs = zip(result.knobs, results[0].knobs, strict=True)
        return [_changed(knobs, {name: getattr(own, name)}) for knobs, own in pairs]

    alike = [r for r in results if others(r) == list(results[0].knobs)]
    return sorted(alike, key=lambda result: getattr(result.knobs[0], name))


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _changed(knobs: Any, changes: Mapping[str, Any]) -> Any:
    return dataclasses.replace(knobs, **changes)
