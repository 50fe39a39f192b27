"""What a sweep found: the best setting, honestly reported, and three figures."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from experiments import statistics
from experiments.sweep_table import Row
from gem_jax.data import tasks
from gem_jax.inference import Knobs

# The paper's ablations of acting, as changes of knobs.
ABLATIONS: Mapping[str, Mapping[str, Any]] = {
    "no_pw": {"lambda_start": 0.0, "lambda_end": 0.0},
    "no_lcb": {"kappa": 0.0},
    "no_anchor": {"anchor": "none"},
    "anchor_bary": {"anchor": "mean"},
    "behavior_only_cands": {"candidates": "behavior"},
    "unimodal_actor_cands": {"candidates": "actor_mode"},
    "raw": {"normalization": "raw"},
}
_RESAMPLES = 2_000  # of the bootstrap


class Result(NamedTuple):
    """Attributes:
    setting: the knobs that were asked for; empty for the runs' own.
    rows: of the table, one a seed.
    knobs: all that were in effect, one record a run.
    """

    setting: Mapping[str, Any]
    rows: Sequence[Row]
    knobs: Sequence[Knobs]

    def column(self, name: str) -> np.ndarray:
        """`[seeds]` of one measured quantity; NaN where it was not measured."""
        return np.array([float(row[name] or "nan") for row in self.rows])

    def scores(self) -> np.ndarray:
        """`[seeds, episodes]` normalized scores."""
        task = tasks.get(self.rows[0]["env"])
        returns = [[float(x) for x in row["returns"].split()] for row in self.rows]
        return np.vectorize(task.normalized_score)(np.array(returns))


def format_results(results: Sequence[Result]) -> str:
    """A line a setting, then which is best and what it is worth.

    The first half of the episodes chooses, by interquartile mean over seeds and
    episodes, the second reports, with a bootstrap interval of 95 %: the score by which
    the best of many was chosen is too high.
    """
    lines = [_line(result) for result in results]
    if results[0].scores().shape[1] < 2:
        return "\n".join(lines)
    halves = [np.array_split(result.scores(), 2, axis=1) for result in results]
    best = int(np.argmax([iqm(first) for first, _ in halves]))
    lines.append(
        f"best by half of the episodes: {_name(results[best].setting)}; by the other "
        f"half: {_interval(halves[best][1])}; the run's own knobs: "
        f"{_interval(halves[0][1])}"
    )
    return "\n".join(lines)


def iqm(scores: np.ndarray) -> float:
    """The mean of the middle half of all values."""
    ordered = np.sort(scores, axis=None)
    cut = ordered.size // 4
    return float(ordered[cut : ordered.size - cut].mean())


def bootstrap(
    scores: np.ndarray, statistic: Callable[[np.ndarray], float], seed: int = 0
) -> tuple[float, float]:
    """The central 95 % of a statistic of `[seeds, episodes]`, episodes redrawn.

    Seeds are strata: of few one cannot tell how they vary by drawing from them again.
    """
    if scores.shape[1] == 1:  # redrawn, the one episode is itself
        return float(statistic(scores)), float(statistic(scores))
    interval = stats.bootstrap(
        tuple(scores),
        lambda *drawn: statistic(np.stack(drawn)),
        vectorized=False,
        n_resamples=_RESAMPLES,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return float(interval.low), float(interval.high)


def draw(results: Sequence[Result], table: pathlib.Path) -> list[pathlib.Path]:
    """Draws the figures that the settings allow, as PNG beside the table.

    Score, violations and collapse against N; score against violations along lambda; the
    ablations' differences. Each takes the settings whose knobs differ from the run's
    own in nothing else; a line on stdout names a figure for which there are too few.
    """
    task = results[0].rows[0]
    title = f"{task['env']}, {task['algo']}, data: {task['source']}"
    drawn = []
    for name, function in _FIGURES.items():
        figure = Figure(figsize=(10, 3.5), layout="constrained")
        if lacking := function(figure, results):
            print(f"no figure {table.stem}_{name}.png: {lacking}")
            continue
        figure.suptitle(title)
        path = table.with_name(f"{table.stem}_{name}.png")
        figure.savefig(path, dpi=100, metadata={"Software": None})
        drawn.append(path)
    return drawn


def _against_candidates(figure: Figure, results: Sequence[Result]) -> str:
    found = _differing_in(results, ("num_candidates",))
    if len(found) < 2:
        return "no other num_candidates with the run's own other knobs"
    found.sort(key=lambda result: result.knobs[0].num_candidates)
    n = [result.knobs[0].num_candidates for result in found]
    names = ("normalized_score", "violation_rate", "collapse_dist")
    for axes, name in zip(figure.subplots(1, 3), names, strict=True):
        values = np.array([result.column(name) for result in found])
        spread = statistics.sample_std(values, axis=1)
        axes.errorbar(n, values.mean(axis=1), spread, marker="o", capsize=3)
        axes.set_xscale("symlog", linthresh=1)
        axes.set(xlabel="N", ylabel=name)
    return ""


def _lambda_frontier(figure: Figure, results: Sequence[Result]) -> str:
    found = _differing_in(results, ("lambda_start", "lambda_end"))
    if len(found) < 2:
        return "no other lambda with the run's own other knobs"
    found.sort(key=lambda result: float(result.knobs[0].lambda_end))
    axes = figure.subplots()
    x = [result.column("violation_rate").mean() for result in found]
    y = [result.column("normalized_score").mean() for result in found]
    axes.plot(x, y, marker="o")
    for result, place in zip(found, zip(x, y, strict=True), strict=True):
        knobs = result.knobs[0]
        axes.annotate(f"{knobs.lambda_start} to {knobs.lambda_end}", place)
    axes.set(xlabel="violation_rate; labels: lambda", ylabel="normalized_score")
    return ""


def _ablation_deltas(figure: Figure, results: Sequence[Result]) -> str:
    own = results[0]
    found = [
        (name, result.scores() - own.scores())  # the same episodes
        for name, setting in ABLATIONS.items()
        for result in results
        if list(result.knobs) == [_changed(knobs, setting) for knobs in own.knobs]
    ]
    if not found:
        return "no ablation among the settings; --ablations adds them"
    axes = figure.subplots()
    means = np.array([delta.mean() for _, delta in found])
    bounds = np.array([bootstrap(delta, np.mean) for _, delta in found]).T
    errors = np.abs(bounds - means)
    axes.bar([name for name, _ in found], means, yerr=errors, capsize=3)
    axes.axhline(0.0, color="black", linewidth=0.8)
    axes.set(ylabel="change of mean score, 95 %")
    return ""


# Each returns what the settings lack for it, if anything.
_FIGURES: Mapping[str, Callable[[Figure, Sequence[Result]], str]] = {
    "candidates": _against_candidates,
    "lambda": _lambda_frontier,
    "ablations": _ablation_deltas,
}


def _differing_in(results: Sequence[Result], names: Sequence[str]) -> list[Result]:
    """The run's own setting and those whose knobs differ in the named ones alone."""

    def others(result: Result) -> list[Knobs]:
        pairs = zip(result.knobs, results[0].knobs, strict=True)
        return [
            _changed(knobs, {name: getattr(own, name) for name in names})
            for knobs, own in pairs
        ]

    return [result for result in results if others(result) == list(results[0].knobs)]


def _changed(knobs: Knobs, changes: Mapping[str, Any]) -> Knobs:
    return dataclasses.replace(knobs, **changes)


def _line(result: Result) -> str:
    score = result.column("normalized_score")
    return (
        f"{_name(result.setting)}: score {np.mean(score):.1f} +- "
        f"{statistics.sample_std(score):.1f}, "
        f"support z {np.mean(result.column('support_z')):.2f}, violations "
        f"{np.mean(result.column('violation_rate')):.4f}, collapse "
        f"{np.mean(result.column('collapse_dist')):.3f} ({len(result.rows)} seeds)"
    )


def _name(setting: Mapping[str, Any]) -> str:
    return " ".join(f"{k}={v}" for k, v in setting.items()) or "the run's own knobs"


def _interval(scores: np.ndarray) -> str:
    low, high = bootstrap(scores, iqm)
    return f"IQM {iqm(scores):.1f} [{low:.1f}, {high:.1f}]"
