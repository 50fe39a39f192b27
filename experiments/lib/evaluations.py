"""A CSV file of evaluations: a line a setting and seed, appended when it is there."""

from __future__ import annotations

import dataclasses
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.lib import csv_rows, knob_flags, reevaluation
from experiments.lib.csv_rows import Row
from gem_jax.policy import Policy

_ORIGIN = ("env", "algo", "source", "settings", "step", "seed", "episodes")
_SCORES = ("normalized_score", "success_rate", "length_mean")
_REST = ("env_steps_per_second", "returns")
SWEEP = "sweep.csv"  # a sweep's, in the first run's folder by default


def setting_columns(policy: Policy) -> tuple[str, ...]:
    """What a row was measured for: where it comes from, and the algorithm's knobs."""
    return _ORIGIN + knob_flags.names(policy.knobs)


def columns(policy: Policy) -> tuple[str, ...]:
    """All columns of the table of an algorithm."""
    return setting_columns(policy) + _SCORES + policy.diagnostics + _REST


class Table:
    """The rows of a file, by what they were measured for.

    Attributes:
      path: of the file, which need not exist.
    """

    def __init__(self, path: pathlib.Path, episodes: int, policy: Policy) -> None:
        """Reads the file; drops a half-written last line.

        Args:
          path: of the file.
          episodes: a seed; rows of other numbers of episodes are other rows.
          policy: any of those whose rows it has; gives the columns.

        Raises:
          UserError: the file is another kind of table.
        """
        self.path = path
        self._episodes = episodes
        self._columns, self._setting = columns(policy), setting_columns(policy)
        rows = csv_rows.read(path, self._columns)
        self._rows = {self._key(row): row for row in rows}

    def holds(self, run: reevaluation.TrainedRun) -> bool:
        """Whether all seeds of a run, with its knobs, are in the table."""
        return self._keys(run) <= self._rows.keys()

    def rows(self, run: reevaluation.TrainedRun) -> list[Row]:
        """A run's rows, a seed each."""
        return [self._rows[key] for key in sorted(self._keys(run))]

    def append(self, rows: Sequence[Mapping[str, Any]]) -> None:
        """Adds rows to the file, but for those it holds."""
        flat = map(self._flat, rows)
        new = {key: row for row in flat if (key := self._key(row)) not in self._rows}
        csv_rows.append(self.path, self._columns, list(new.values()))
        self._rows |= new

    def _keys(self, run: reevaluation.TrainedRun) -> set[tuple[str, ...]]:
        knobs = run.policies[0].knobs
        plain = dataclasses.asdict(knobs) if knobs else {}
        measured = {"episodes": self._episodes, "knobs": plain}
        return {self._key(self._flat(row | measured)) for row in run.origins()}

    def _key(self, flat: Row) -> tuple[str, ...]:
        return tuple(flat[name] for name in self._setting)

    def _flat(self, row: Mapping[str, Any]) -> dict[str, str]:
        cells = {**row, **row["knobs"]}
        return {name: cell(cells.get(name)) for name in self._columns}


def cell(value: Any) -> str:
    """A value as the file has it."""
    if isinstance(value, list):  # the returns of all episodes
        return " ".join(map(str, value))
    return "" if value is None else str(value)
