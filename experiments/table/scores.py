"""Final scores of runs as a Markdown table, beside the published ones."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from experiments.lib import csv_rows, evaluations, markdown, measures
from gem_jax import errors
from gem_jax.runs import statistics
from gem_jax.training import rundir

Summary = Mapping[str, Any]
_ANCHOR_ALONE = ", N = 0"
_ONLINE = ", online"
_PERCENT = "percent_bc"
_CLONING = ("bc", _PERCENT)


def read_summaries(folders: Sequence[pathlib.Path]) -> list[Summary]:
    """Each run's ``summary.json``, with the ``settings`` that tell which runs compare.

    Where a ``sweep.csv`` in one of the folders has all seeds of a run at N = 0 under
    knobs that are its own otherwise, another summary has these scores: what the anchor
    alone is worth.
    """
    files = [folder / evaluations.SWEEP for folder in folders]
    swept = [row for file in files for row in csv_rows.read_any(file)]
    summaries: list[Summary] = []
    for folder in folders:
        record = rundir.require_format(rundir.read_json(folder / rundir.CONFIG))
        settings, task = rundir.settings_hash(record), rundir.own_task(record)
        summary = rundir.read_summary(folder)
        summary |= {"settings": settings, "task": task}
        algo = summary["algo"]  # in other tables too
        share = record.get("data", {}).get("best_share", 1.0)
        if summary["algo"] in _CLONING and share < 1.0:
            # What the whole data score is another run's to say.
            unsaid = {"behavior_score": None, "behavior_return": None}
            name = _PERCENT if share == 0.1 else f"{share:.0%}bc"
            summary |= {"algo": name} | unsaid
        if summary.get("online_steps"):  # no published column is of such runs
            summary |= {"algo": f"{summary['algo']}{_ONLINE}"}
        summaries.append(summary)
        rows = rundir.read_lines(folder / rundir.EVAL)
        swept_as = summary | {"algo": algo}
        scores = _anchor_scores(swept, swept_as, rows[-1]) if rows else []
        if scores:
            name = summary["algo"] + _ANCHOR_ALONE
            measured = (
                "normalized_score" if measures.is_scored(summary) else "return_mean"
            )
            alone = {"algo": name, measured: {"per_seed": scores}}
            summaries.append(summary | alone)
    return summaries


def _anchor_scores(
    swept: Sequence[csv_rows.Row], summary: Summary, last: Mapping[str, Any]
) -> list[float]:
    """One a seed, from as many episodes as the run's last evaluation; [] unless all."""
    same = ("env", "algo", "source", "settings")
    wanted = {name: summary[name] for name in same}
    known = set().union(*swept)
    wanted |= {name: knob for name, knob in last["knobs"].items() if name in known}
    wanted |= {
        "step": summary["steps"],
        "episodes": last["episodes"],
        "num_candidates": 0,
    }
    cells = {name: evaluations.cell(value) for name, value in wanted.items()}
    by_seed = {
        row["seed"]: measures.of_row(row)
        for row in swept
        if cells.items() <= row.items()
    }
    seeds = [str(seed) for seed in summary["seeds"]]
    return [by_seed[s] for s in seeds] if by_seed.keys() >= set(seeds) else []


def format_table(
    summaries: Sequence[Summary], elsewhere: Mapping[str, Mapping[str, str]]
) -> str:
    """Markdown; runs of one task, source and algorithm are pooled over their seeds.

    A cell has mean, standard deviation (ddof = 1) and number of seeds, of normalized
    scores; of returns in a row that says so, where a task has no others. The last row
    has the means of the columns without gaps, over tasks with scores.

    Raises:
      UserError: two runs of a cell share a seed or differ in data or settings, or two
        of a row have other data.
    """
    algos = sorted({summary["algo"] for summary in summaries})
    rows = sorted({(summary["env"], summary["source"]) for summary in summaries})
    listed = set().union(*(elsewhere.get(env, {}) for env, _ in rows))
    unpublished = (_ANCHOR_ALONE, _ONLINE, "%bc")  # ends of names
    compared = [a for a in algos if not a.endswith(unpublished)]
    compared = [a for a in compared if a in listed or a not in _CLONING]
    header = ["task", "data", "behavior", *algos]
    header += [f"{a}, published" for a in compared]
    lines: list[list[str]] = []
    columns: list[list[float | None]] = [[] for _ in range(1 + len(algos))]
    for env, source in rows:
        runs = [s for s in summaries if (s["env"], s["source"]) == (env, source)]
        _require_one_dataset(runs)
        scores = [_scores([run for run in runs if run["algo"] == a]) for a in algos]
        scored = measures.is_scored(runs[0])
        field = "behavior_score" if scored else "behavior_return"
        behaviors = [run.get(field) for run in runs]
        behavior = next((score for score in behaviors if score is not None), None)
        means = [behavior, *(float(np.mean(s)) if s else None for s in scores)]
        if scored:
            for column, mean in zip(columns, means, strict=True):
                column.append(mean)
        others = [elsewhere.get(env, {}).get(a) or "-" for a in compared]
        name = measures.label(runs[0])
        lines.append([name, source, _number(behavior), *map(_cell, scores), *others])
    if len(columns[0]) > 1:
        means = [_mean_without_gaps(column) for column in columns]
        lines.append(["mean", "", *map(_number, means), *([""] * len(compared))])
    return markdown.table(header, lines)


def _mean_without_gaps(column: Sequence[float | None]) -> float | None:
    known = [mean for mean in column if mean is not None]
    return float(np.mean(known)) if len(known) == len(column) else None


def _require_one_dataset(row: Sequence[Summary]) -> None:
    datasets = sorted({summary["dataset"] for summary in row})
    if len(datasets) > 1:
        raise errors.UserError(
            f"the runs on {row[0]['env']} were trained on different data: "
            f"{', '.join(datasets)}; give comparable ones"
        )
    if any(summary.get("task") != row[0].get("task") for summary in row):
        raise errors.UserError(
            f"the runs were made on different tasks named {row[0]['env']}; give "
            "comparable ones"
        )


def _scores(summaries: Sequence[Summary]) -> list[float]:
    """The scores of all seeds of one algorithm on one dataset."""
    if not summaries:
        return []
    seeds = [seed for summary in summaries for seed in summary["seeds"]]
    first = summaries[0]
    if len(set(seeds)) < len(seeds) or len({s["settings"] for s in summaries}) > 1:
        raise errors.UserError(
            f"the runs of {first['algo']} on {first['env']} share a seed or differ in "
            "data or settings; give comparable ones"
        )
    return [x for s in summaries for x in measures.per_seed(s)]


def _cell(scores: Sequence[float]) -> str:
    return statistics.mean_and_std(scores) if scores else "-"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"
