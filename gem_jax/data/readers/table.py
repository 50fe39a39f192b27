"""The layouts of files that are read, recognized by what a file holds."""

from __future__ import annotations

import contextlib
import pathlib
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import h5py

from gem_jax import errors
from gem_jax.data import d4rl, episodes, files, layouts, minari, tasks
from gem_jax.data.readers import columns, csv_log, numpy_archive, robomimic

Reader = Callable[
    [pathlib.Path, tasks.Task | None, columns.Log, int | None],
    tuple[list[episodes.Episode], str],
]


class Layout(NamedTuple):
    """One way to lay data out in a file.

    Attributes:
      name: for messages.
      container: as ``layouts.container`` names it.
      missing: the first thing that an open file lacks to be of this layout, or None.
      read: takes path, task or None, log, and how many of the leading transitions are
        needed or None; returns episodes and the SHA-256 of the file.
      unit_actions: whether its actions are meant to lie in [-1, 1].
    """

    name: str
    container: str
    missing: Callable[[Any], str | None]
    read: Reader
    unit_actions: bool = False


def recognize(path: pathlib.Path) -> Layout:
    """The layout of a file.

    Raises:
      UserError: absent, unreadable, damaged, or in no layout that is read; says which
        were tried and what each misses first.
    """
    container = layouts.container(path)
    candidates = [layout for layout in LAYOUTS if layout.container == container]
    tried = []
    with _open(path, container) as file:
        for layout in candidates:
            missing = layout.missing(file)
            if missing is None:
                return layout
            tried.append(f"{layout.name} ({missing})")
        held = f"; it holds {layouts.content(file)}" if container == "HDF5" else ""
    raise errors.UserError(
        f"{path} is of no layout that is read; tried {', '.join(tried)}{held}"
    )


def layout(name: str) -> Layout:
    """The layout of a name, one that is there."""
    return next(layout for layout in LAYOUTS if layout.name == name)


@contextlib.contextmanager
def _open(path: pathlib.Path, container: str) -> Iterator[Any]:
    """What ``missing`` takes: the open file, its arrays by name, or the path."""
    if container == "HDF5":
        with files.open_hdf5(path) as file:
            yield file
    elif container == "NumPy":
        with numpy_archive.members(path) as found:
            yield found
    else:
        yield path


def _d4rl_missing(file: Any) -> str | None:
    """Of an HDF5 file, or of the arrays of an archive by name."""
    for name in d4rl.REQUIRED:
        if file.get(name) is None or isinstance(file.get(name), h5py.Group):
            return f"no array {name!r}"
    return None


def _d4rl_numpy_missing(found: Any) -> str | None:
    if "masks" in found and "timeouts" not in found:  # OGBench's, with rewards
        return "no array 'timeouts' beside 'masks'"
    return _d4rl_missing(found)


def _ogbench_missing(found: Any) -> str | None:
    for name in ("observations", "actions", "terminals"):
        if name not in found:
            return f"no array {name!r}"
    return None


def _minari_missing(file: h5py.File) -> str | None:
    return None if "episode_0" in file else "no group 'episode_0'"


LAYOUTS = (
    Layout("D4RL's HDF5", "HDF5", _d4rl_missing, d4rl.read, True),
    Layout("Minari's HDF5", "HDF5", _minari_missing, minari.read_file),
    Layout("robomimic's HDF5", "HDF5", robomimic.missing, robomimic.read, True),
    Layout("D4RL's NumPy", "NumPy", _d4rl_numpy_missing, numpy_archive.read_d4rl, True),
    Layout(
        "OGBench's NumPy", "NumPy", _ogbench_missing, numpy_archive.read_ogbench, True
    ),
    Layout("a CSV log", "CSV", csv_log.missing, csv_log.read),
)
