"""The picture: what each method proposes and what it executes, beside the data."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle

from experiments.gallery import bandit

_COLUMNS = 8
_ROWS = ("proposes", "executes", "behind a corrupted critic")
_DATA, _PROPOSED, _EXECUTED = "0.82", "tab:blue", "tab:orange"
_BY_VALUE, _WITH_SUPPORT = "tab:red", "tab:green"


class Drawn(NamedTuple):
    """Actions `[n, 2]` of one method.

    Attributes:
      proposed: samples.
      executed: choices.
      by_value: the best of its samples by a corrupted critic.
      with_support: the same with the behavior's density in the score.
    """

    proposed: np.ndarray
    executed: np.ndarray
    by_value: np.ndarray
    with_support: np.ndarray


def draw(
    methods: Mapping[str, Drawn], data: np.ndarray, path: pathlib.Path
) -> pathlib.Path:
    """A column a method, in blocks of eight; rows as in ``_ROWS``."""
    titles = list(methods)
    blocks = [titles[i : i + _COLUMNS] for i in range(0, len(titles), _COLUMNS)]
    figure = Figure(figsize=(2.0 * _COLUMNS, 6.4 * len(blocks)), layout="constrained")
    parts = figure.subfigures(len(blocks), squeeze=False)
    for part, block in zip(parts[:, 0], blocks):
        panels = part.subplots(len(_ROWS), _COLUMNS, squeeze=False)
        for axes in panels.flat:
            axes.set_axis_off()
        for column, title in enumerate(block):
            _column(panels[:, column], title, methods[title], data)
        for row, name in enumerate(_ROWS):
            panels[row, 0].text(
                *(-0.08, 0.5, name),
                rotation=90,
                transform=panels[row, 0].transAxes,
                va="center",
                ha="center",
            )
    figure.savefig(path, dpi=70, metadata={"Software": None})
    return path


def _column(panels: Sequence[Axes], title: str, drawn: Drawn, data: np.ndarray) -> None:
    panels[0].set_title(title, fontsize=9)
    _panel(panels[0], data, (drawn.proposed, _PROPOSED))
    _panel(panels[1], data, (drawn.executed, _EXECUTED))
    _panel(
        panels[2],
        data,
        (drawn.by_value, _BY_VALUE),
        (drawn.with_support, _WITH_SUPPORT),
        error=True,
    )


def _panel(
    axes: Axes, data: np.ndarray, *clouds: tuple[np.ndarray, str], error: bool = False
) -> None:
    axes.scatter(data[:, 0], data[:, 1], s=1, color=_DATA, linewidths=0)
    for actions, color in clouds:
        x, y = actions.T
        axes.scatter(x, y, s=3, color=color, alpha=0.5, linewidths=0)
    center = bandit.centers()[bandit.REWARDED]
    axes.add_patch(Circle(center, 0.2, fill=False, color="black", linewidth=0.8))
    if error:
        axes.scatter(*bandit.ERROR_CENTER, s=40, marker="x", color="black", linewidth=1)
    axes.set(xlim=(-1.1, 1.1), ylim=(-1.1, 1.1), aspect="equal")
