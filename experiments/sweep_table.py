"""The CSV file of a sweep: a line a setting and seed, appended as it is played."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments import csv_rows, rescoring
from experiments.csv_rows import Row
from gem_jax.inference import Knobs

# The size of a chunk changes no choice.
KNOBS = tuple(f.name for f in dataclasses.fields(Knobs) if f.name != "chunk_size")
_SETTING = ("env", "algo", "source", "settings", "step", "seed", "episodes", *KNOBS)
_MEASURED = (
    *("normalized_score", "success_rate", "length_mean", "support_z"),
    *("violation_rate", "collapse_dist", "env_steps_per_second", "returns"),
)
COLUMNS = _SETTING + _MEASURED
FILE = "sweep.csv"  # in the first run's folder, by default


class Table:
    """The rows of a file, by what they were measured for.

    Attributes:
      path: of the file, which need not exist.
    """

    def __init__(self, path: pathlib.Path, episodes: int) -> None:
        """Reads the file; drops a half-written last line.

        Args:
          path: of the file.
          episodes: a seed; rows of other numbers of episodes are other rows.

        Raises:
          UserError: the file is another kind of table.
        """
        self.path = path
        self._episodes = episodes
        rows = csv_rows.read(path, COLUMNS)
        self._rows = {tuple(row[name] for name in _SETTING): row for row in rows}

    def holds(self, run: rescoring.TrainedRun) -> bool:
        """Whether all seeds of a run, with its knobs, are in the table."""
        return self._keys(run) <= self._rows.keys()

    def rows(self, run: rescoring.TrainedRun) -> list[Row]:
        """A run's rows, a seed each."""
        return [self._rows[key] for key in sorted(self._keys(run))]

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows to the file, but for those it holds."""
        new = {_key(row): _flat(row) for row in rows}
        new = {key: row for key, row in new.items() if key not in self._rows}
        csv_rows.append(self.path, COLUMNS, list(new.values()))
        self._rows |= new

    def _keys(self, run: rescoring.TrainedRun) -> set[tuple[str, ...]]:
        knobs = dataclasses.asdict(run.policies[0].knobs)
        measured = {"episodes": self._episodes, "knobs": knobs}
        return {_key(origin | measured) for origin in run.origins()}


def _key(row: Mapping[str, Any]) -> tuple[str, ...]:
    flat = _flat(row)
    return tuple(flat[name] for name in _SETTING)


def _flat(row: Mapping[str, Any]) -> dict[str, str]:
    cells = {**row, **row["knobs"]}
    values = ((name, cells.get(name)) for name in COLUMNS)
    return {name: cell(value) for name, value in values}


def cell(value: Any) -> str:
    """A value as the file has it."""
    if isinstance(value, list):  # the returns of all episodes
        return " ".join(map(str, value))
    return "" if value is None else str(value)
