"""Reads a log as a CSV table: a header, then a step a line.

Columns in any order: ``obs_0`` .. ``obs_{O-1}``, ``action_0`` .. ``action_{A-1}``,
``reward``, ``terminal`` (1 or true where the task ended), and ``timeout`` (1 where an
episode was cut off) or ``episode`` (a name or number that changes with the episode).
Perhaps ``next_obs_0`` .., and ``policy``, the number of the policy that acted. Others
are passed over.
"""

from __future__ import annotations

import csv
import pathlib
import warnings
from collections.abc import Callable

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, files, room, tasks
from gem_jax.data.readers import columns, rows

_FLAGS = {"true": 1.0, "false": 0.0}
_SINGLE = ("reward", "terminal", "timeout", "episode", "policy")
_NUMBERED = ("obs", "action", "next_obs")


def missing(path: pathlib.Path) -> str | None:
    """The first column that the header lacks; ``None`` if none."""
    names = header(path)
    for name in ("obs_0", "action_0", "reward", "terminal"):
        if name not in names:
            return f"no column {name!r}"
    if "timeout" not in names and "episode" not in names:
        return "no column 'timeout' or 'episode'"
    return None


def header(path: pathlib.Path) -> list[str]:
    """The names in the first line.

    Raises:
      UserError: it is no text.
    """
    with files.refusing_damage(f"{path} is no table"):
        with path.open(encoding="utf-8-sig", newline="") as file:
            return [name.strip() for name in next(csv.reader(file), [])]


def read(
    path: pathlib.Path,
    task: tasks.Task | None,
    log: columns.Log,
    limit: int | None,
) -> tuple[list[episodes.Episode], str]:
    """Reads one log, or its leading lines.

    Args:
      path: the table.
      task: unused.
      log: takes a line about columns that are passed over.
      limit: of the transitions, how many of the leading ones are needed.

    Raises:
      UserError: a column is missing in its row of numbers, or there twice; what is no
        number, with its place; too large for this machine.
    """
    del task
    names = header(path)
    places = _places(names, path)
    unknown = [name for name in names if name not in places]
    if unknown:
        log(f"data: {path}: columns passed over: {', '.join(unknown)}")
    sizes = {kind: len(_of(kind, places)) for kind in _NUMBERED}
    if sizes["next_obs"] not in (0, sizes["obs"]):
        raise errors.UserError(
            f"{path} has {sizes['obs']} columns obs_.. and {sizes['next_obs']} "
            "next_obs_..; make them as many, or remove the latter"
        )
    room.require(str(path), _count_lines(path), sizes["obs"], sizes["action"], limit)
    table = _leading(path, places, limit)
    recorded = rows.to_episodes(
        _rows(table, places, path), lambda line: log(f"warning: {path}: {line}")
    )
    return recorded, files.file_sha256(path)


def _leading(
    path: pathlib.Path, places: dict[str, int], limit: int | None
) -> np.ndarray:
    """The whole table, or leading rows with at least ``limit`` transitions."""
    if limit is None:
        return _table(path, places, None)
    count = limit + 1
    while True:
        table = _table(path, places, count)
        # Rows without a successor are no transitions; each episode may end in one.
        ends = int(_rows(table, places, path).end.sum())
        if len(table) < count or len(table) - ends > limit:
            return table
        count *= 2


def _places(names: list[str], path: pathlib.Path) -> dict[str, int]:
    """Where each known column stands."""
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise errors.UserError(f"{path} has column {min(twice)!r} twice; keep one")
    places = {name: names.index(name) for name in _SINGLE if name in names}
    for kind in _NUMBERED:
        count = sum(_number(name, kind) is not None for name in names)
        for index in range(count):
            if f"{kind}_{index}" not in names:
                raise errors.UserError(
                    f"{path} has {count} columns {kind}_.. but no {kind}_{index}; "
                    "number them from 0 on"
                )
            places[f"{kind}_{index}"] = names.index(f"{kind}_{index}")
    return places


def _number(name: str, kind: str) -> int | None:
    rest = name.removeprefix(f"{kind}_")
    known = rest != name and rest.isascii() and rest.isdecimal()
    return int(rest) if known else None


def _of(kind: str, places: dict[str, int]) -> list[str]:
    return [name for name in places if _number(name, kind) is not None]


def _count_lines(path: pathlib.Path) -> int:
    with path.open("rb") as file:
        return sum(1 for _ in file)


def _table(
    path: pathlib.Path, places: dict[str, int], max_rows: int | None
) -> np.ndarray:
    """`[N, number of known columns]` float32, in the order of ``places``."""
    converters: dict[int | str, Callable[[str], float]] = {
        places[name]: _flag for name in ("terminal", "timeout") if name in places
    }
    seen: dict[str, float] = {}
    if "episode" in places:  # a float32 would confuse large numbers
        number = lambda text: seen.setdefault(text, float(len(seen)))  # noqa: E731
        converters[places["episode"]] = number
    with path.open(encoding="utf-8-sig", newline="") as file, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of an empty table, which is refused later
        file.readline()
        try:
            return np.loadtxt(
                file,
                np.float32,
                delimiter=",",
                comments=None,
                usecols=list(places.values()),
                converters=converters,
                max_rows=max_rows,
                ndmin=2,
            ).reshape(-1, len(places))
        except ValueError as error:  # names row and column, counted from the data's
            reason = str(error).partition(";")[0].rstrip(".")
            raise errors.UserError(
                f"{path}: below the header, {reason}; store numbers alone, as many in "
                "each line"
            ) from None


def _flag(text: str) -> float:
    value = _FLAGS.get(text.strip().lower())
    return float(text) if value is None else value


def _rows(table: np.ndarray, places: dict[str, int], path: pathlib.Path) -> rows.Rows:
    column = dict(zip(places, table.T, strict=True))

    def joined(kind: str) -> np.ndarray:
        # Not by slices: they would keep the whole table.
        return np.stack([column[name] for name in _of(kind, places)], axis=1)

    def flags(name: str) -> np.ndarray:
        return columns.flags(column[name], f"{path}: {name!r}")

    terminal = flags("terminal")
    end = terminal | flags("timeout") if "timeout" in column else terminal.copy()
    if "episode" in column:
        end[:-1] |= np.diff(column["episode"]) != 0
    policy = column.get("policy")
    return rows.Rows(
        observation=joined("obs"),
        action=joined("action"),
        reward=column["reward"].copy(),
        terminal=terminal,
        end=end,
        next_observation=joined("next_obs") if "next_obs_0" in places else None,
        policy=None if policy is None else columns.labels(policy, f"{path}: 'policy'"),
    )
