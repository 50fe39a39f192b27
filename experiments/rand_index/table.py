"""Rand index of the trajectory clusterer by its heuristics, beside the paper's."""

from __future__ import annotations

import csv
import functools
import itertools
import pathlib
from collections.abc import Iterable, Sequence
from importlib import resources
from typing import Any, NamedTuple

import jax
import numpy as np

from experiments.lib import csv_rows, labeled_trajectories, markdown
from experiments.lib.csv_rows import Row
from gem_jax import clustering, data, errors
from gem_jax.data import tasks
from gem_jax.data.local import generate
from gem_jax.runs import statistics

_DATA_SEED = 0
_REAL = ("momentum", "averaging_rate", "log_std_min")


class Setting(NamedTuple):
    """One cell; its fields are the first columns of the file.

    Attributes:
      env: a task whose local data are labeled.
      num_transitions: size of its data.
      momentum: mu, heuristic I.
      uniform_epochs: N_p, heuristic II.
      biased_epochs: N_b, heuristic III.
      em_epochs: N_E.
      epoch_steps: gradients an epoch; 0 is a pass over the data.
      averaging_rate: of the policies that E-steps look at; 1 is those under training.
      posterior_window: steps of each trajectory that an E-step looks at; 0 is all.
      window_start: first E-step on steps in a row; the others are on steps spread out.
      window_stop: first E-step after these.
      log_std_min: of the policies.
    """

    env: str
    num_transitions: int
    momentum: float
    uniform_epochs: int
    biased_epochs: int
    em_epochs: int
    epoch_steps: int
    averaging_rate: float
    posterior_window: int
    window_start: int
    window_stop: int
    log_std_min: float


FIELDS = (*Setting._fields, "seed", "source", "recipe", "rand_index")


def measure(
    settings: Sequence[Setting], seeds: Iterable[int], path: pathlib.Path
) -> list[Row]:
    """Clusters with every setting and seed that the file lacks, and adds them to it.

    A seed fixes the clusterer's draws; the data of a task are the same for all.

    Args:
      settings: cells.
      seeds: for each.
      path: CSV file.

    Returns:
      The file's rows of these settings and seeds.

    Raises:
      UserError: a value is out of range, or a task's data are not labeled.
    """
    for setting in settings:
        cluster_settings(setting)
    known = {_cell(row): row for row in csv_rows.read(path, FIELDS)}
    rows = []
    for cell in itertools.product(settings, seeds):
        row = dict(zip(FIELDS, _texts(*cell), strict=False))
        if _cell(row) not in known:
            row["rand_index"] = f"{rand_index(*cell):.6f}"
            csv_rows.append(path, FIELDS, [row])
            known[_cell(row)] = row
            print(" ".join(f"{k}={v}" for k, v in row.items()), flush=True)
        rows.append(known[_cell(row)])
    return rows


def rand_index(setting: Setting, seed: int) -> float:
    """Clusters once; 1 is the truth."""
    trajectories, truth = _load(setting.env, setting.num_transitions)
    fitted = clustering.fit(
        *(jax.random.key(seed), trajectories, cluster_settings(setting)),
        classify=False,
    )
    return clustering.rand_index(truth, fitted.assignment)


@functools.lru_cache(maxsize=1)  # cells of one task follow each other
def _load(env: str, num_transitions: int) -> tuple[clustering.Trajectories, np.ndarray]:
    dataset = data.load(
        env,
        "local",
        seed=_DATA_SEED,
        num_transitions=num_transitions,
        log=lambda line: None,
    )
    return labeled_trajectories.subsample(dataset, num_transitions)


def cluster_settings(setting: Setting) -> clustering.Settings:
    """The settings of a cell.

    Raises:
      UserError: a value is out of range.
    """
    try:
        values = setting._asdict()
        del values["env"], values["num_transitions"]
        return clustering.Settings(**values)
    except ValueError as error:
        raise errors.UserError(str(error)) from None


def published() -> dict[tuple[str, float, int, int], str]:
    """EMPO's Table 5 by task and heuristics: mean and standard deviation, percent."""
    package = resources.files("experiments.rand_index")
    path = package.joinpath("published_rand_index.csv")
    with path.open() as file:
        return {
            _heuristics(row): f"{row['rand_mean']} ± {row['rand_std']}"
            for row in csv.DictReader(file)
        }


def format_table(rows: Sequence[Row]) -> str:
    """Markdown, a row a setting; standard deviations are over seeds, ddof = 1."""
    elsewhere = published()
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in Setting._fields), []).append(row)
    header = (*Setting._fields, "seeds", "Rand index, %", "published, %")
    lines = []
    for cell, alike in groups.items():
        scores = [100.0 * float(row["rand_index"]) for row in alike]
        score = f"{np.mean(scores):.2f} ± {statistics.sample_std(scores):.2f}"
        known = elsewhere.get(_heuristics(alike[0]), "-")
        lines.append([*cell, str(len(scores)), score, known])
    return markdown.table(header, lines)


def _texts(setting: Setting, seed: int) -> tuple[str, ...]:
    """As the file has them: a momentum of 0 and of 0.0 are the same cell."""
    real: dict[str, Any] = {name: float(getattr(setting, name)) for name in _REAL}
    setting = setting._replace(**real)
    task = tasks.get(setting.env)
    recipe = generate.fingerprint(task, _DATA_SEED, setting.num_transitions)
    return (*map(str, setting), str(seed), "local", recipe)


def _cell(row: Row) -> tuple[str, ...]:
    return tuple(row[name] for name in FIELDS[:-1])


def _heuristics(row: Row) -> tuple[str, float, int, int]:
    return (
        row["env"],
        float(row["momentum"]),
        int(row["uniform_epochs"]),
        int(row["biased_epochs"]),
    )
