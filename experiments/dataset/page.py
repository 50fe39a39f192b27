"""One page of plots on a dataset: where it came from, what it holds, what ails it."""

from __future__ import annotations

import pathlib
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gem_jax.data import (
    behavior_scores,
    coverage,
    episodes,
    faults,
    tasks,
)
from gem_jax.data.task import OWN

_MAX_POINTS = 200_000  # of the coverage picture


def save(
    path: pathlib.Path,
    recorded: Sequence[episodes.Episode],
    task: tasks.Task,
    facts: Mapping[str, Any],
    verdicts: Sequence[faults.Verdict],
) -> None:
    """Draws the page.

    Args:
      path: of the PNG file.
      recorded: the episodes, none of them empty.
      task: gives the scale of the scores and the meaning of the observations.
      facts: provenance and description, for the title.
      verdicts: of ``gem_jax.data.faults``.
    """
    figure = Figure(figsize=(14, 9), layout="constrained")
    figure.suptitle(
        f"{facts['env']}   source: {facts['source']}   {facts['id']}\n"
        f"{facts['num_transitions']:,} transitions, {facts['num_episodes']:,} "
        f"episodes, sha256 {facts['sha256'][:16]}"
    )
    axes = figure.subplots(2, 3)
    rewards = np.concatenate([episode.rewards for episode in recorded])
    scores, word = behavior_scores.episode_values(recorded, task), "return"
    if task.is_scored:
        word = "normalized score"
        scores = np.array([task.normalized_score(value) for value in scores])
    whole = behavior_scores.whole_episodes(recorded, task)
    _histogram(axes[0, 0], scores[whole], f"{word} of whole episodes")
    _histogram(
        axes[0, 1], np.array([len(e) for e in recorded]), "episode length (steps)"
    )
    _histogram(axes[0, 2], rewards, "reward of a step")
    _actions(
        axes[1, 0], np.concatenate([episode.actions for episode in recorded]), task
    )
    if task.suite == "locomotion":
        _returns_in_order(axes[1, 1], recorded, scores)
    elif task.suite in (OWN, "ogbench"):
        _principal_plane(axes[1, 1], recorded)
    else:
        _coverage(axes[1, 1], recorded)
    _text(axes[1, 2], verdicts)
    figure.savefig(path, dpi=80, metadata={"Software": None})


def _histogram(axes: Axes, values: np.ndarray, label: str) -> None:
    axes.hist(values[np.isfinite(values)], bins=60, log=True)
    axes.set(xlabel=label, ylabel="count")


def _actions(axes: Axes, actions: np.ndarray, task: tasks.Task) -> None:
    finite = actions[np.isfinite(actions)]
    low = finite.min(initial=min(task.action_low))
    edges = np.linspace(low, finite.max(initial=max(task.action_high)), 61).tolist()
    for i, component in enumerate(actions.T):
        axes.hist(component, bins=edges, histtype="step", label=str(i), log=True)
    axes.set(xlabel="action, by component", ylabel="count")
    axes.legend(ncols=2, fontsize="small")


def _returns_in_order(
    axes: Axes, recorded: Sequence[episodes.Episode], scores: np.ndarray
) -> None:
    """In the order of the file, which in a replay is that of training."""
    labels = [int(e.infos["policy"][0]) if "policy" in e.infos else 0 for e in recorded]
    axes.scatter(np.arange(len(scores)), scores, c=labels, s=4, cmap="viridis")
    axes.set(xlabel="episode; color: policy", ylabel="normalized return")


def _coverage(axes: Axes, recorded: Sequence[episodes.Episode]) -> None:
    places = np.concatenate([episode.observations[1:, :2] for episode in recorded])
    rewarded = places[np.concatenate([episode.rewards for episode in recorded]) > 0]
    places = places[np.isfinite(places).all(axis=1)]
    thin = slice(None, None, max(1, len(places) // _MAX_POINTS))
    x, y = places.T
    axes.hist2d(x, y, bins=120, cmin=1, norm="log")
    axes.plot(*rewarded[thin].T, ",", color="red")
    axes.set(xlabel="x (m); red: rewarded", ylabel="y (m)", aspect="equal")


def _principal_plane(axes: Axes, recorded: Sequence[episodes.Episode]) -> None:
    states = coverage.sample(recorded)
    if len(states) and np.ptp(states, axis=0).any():
        plane, shares = coverage.principal_plane(states)
        other = plane[:, 1] if plane.shape[1] > 1 else np.zeros(len(plane))
        axes.hist2d(plane[:, 0], other, bins=120, cmin=1, norm="log")
        axes.set_title(f"{shares[:2].sum():.0%} of the standardized variance")
    axes.set(xlabel="first principal component of states", ylabel="second")


def _text(axes: Axes, verdicts: Sequence[faults.Verdict]) -> None:
    axes.axis("off")
    lines = [
        textwrap.fill(faults.line(verdict), 52, subsequent_indent=" " * 7)
        for verdict in verdicts
    ]
    axes.text(0, 1, "\n".join(lines), va="top", family="monospace", fontsize=8)
