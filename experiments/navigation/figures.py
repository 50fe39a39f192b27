"""Figures of the navigation experiment."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from gem_jax.envs import navigation
from gem_jax.envs.navigation_rollout import Rollout


def trajectories(
    path: pathlib.Path, rollouts: Mapping[str, Rollout], origin: str
) -> None:
    """A panel a method with all its rollouts (EMPO, Figures 3 and 5)."""
    figure = Figure(figsize=(4 * len(rollouts), 4.7), layout="constrained")
    figure.suptitle(origin)
    panels = figure.subplots(1, len(rollouts), squeeze=False)[0]
    for axes, (title, rollout) in zip(panels, rollouts.items(), strict=True):
        _square(axes)
        for walk in rollout.positions.reshape(-1, *rollout.positions.shape[-2:]):
            axes.plot(*walk.T, color="tab:blue", alpha=0.3, linewidth=1)
        axes.set_title(f"{title}\nreturn {rollout.returns.mean():.0f}")
    _save(figure, path)


def clustering(
    path: pathlib.Path, epochs: Sequence[Mapping[str, Any]], origin: str
) -> None:
    """Posterior entropy and Rand index over the epochs of clustering, one seed."""
    figure = Figure(figsize=(8, 4), layout="constrained")
    figure.suptitle(f"{origin}; one seed, every n-th trajectory")
    axes = figure.subplots()
    number = [row["epoch"] for row in epochs]
    rand = [
        np.nan if row["rand_index"] is None else row["rand_index"] for row in epochs
    ]
    axes.plot(number, rand, label="Rand index")
    entropy = [row["entropy"] / np.log(2.0) for row in epochs]
    axes.plot(number, entropy, label="posterior entropy (bits)")
    stages = [row["stage"] for row in epochs]
    for i in range(1, len(stages)):
        if stages[i] != stages[i - 1]:
            axes.axvline(number[i] - 0.5, color="gray", linestyle=":")
    axes.set(xlabel="epoch; dotted: next stage", ylim=(-0.05, 1.05))
    axes.legend()
    _save(figure, path)


def choice(path: pathlib.Path, rollout: Rollout, origin: str) -> None:
    """Which cluster acts along one route: the first seed's first rollout."""
    figure = Figure(figsize=(5, 5), layout="constrained")
    figure.suptitle(f"{origin}; first seed's first rollout", fontsize="small")
    axes = figure.subplots()
    _square(axes)
    steps = int(rollout.lengths[0, 0])
    x, y = rollout.positions[0, 0, :steps].T
    cluster = rollout.records["cluster"]
    highest = max(int(cluster.max()), 1)
    points = axes.scatter(
        x, y, c=cluster[0, 0, :steps], s=6, cmap="coolwarm", vmin=0, vmax=highest
    )
    ticks = range(highest + 1)
    figure.colorbar(points, label="cluster that acts", shrink=0.7, ticks=ticks)
    _save(figure, path)


def _square(axes: Axes) -> None:
    """The walls, the box of double cost, and the goal."""
    low, high = np.array(navigation.BOX_LOW), np.array(navigation.BOX_HIGH)
    axes.add_patch(Rectangle(tuple(low), *(high - low), color="tab:red", alpha=0.2))
    axes.plot(*navigation.GOAL, "*", color="tab:green", markersize=12)
    border = (-0.5, navigation.SIZE + 0.5)
    axes.set(xlim=border, ylim=border, aspect="equal", xlabel="x", ylabel="y")


def _save(figure: Figure, path: pathlib.Path) -> None:
    figure.savefig(path, dpi=100, metadata={"Software": None})
