"""The comparison on navigation-v0: its methods, and what each did."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from experiments.lib import markdown
from gem_jax.envs import navigation_rollout
from gem_jax.runs import statistics

OPTIMAL = -420.0  # of the routes in the data only stitched ones return more
# Title, algorithm, and what differs from its settings.
METHODS: Mapping[str, tuple[str, dict[str, Any]]] = {
    "BC": ("bc", {}),
    "TD3+BC": ("td3_bc", {}),
    "EMPO, K = 1": ("empo", {"num_clusters": 1}),
    "EMPO, K = 2": ("empo", {"num_clusters": 2}),
}


class Outcome(NamedTuple):
    """What one method did.

    Attributes:
      rollouts: fields with leading axes `[seeds, episodes]`.
      rand: `[seeds]` Rand index of the clusters, or ``None`` where there are none.
      updates: gradient steps of all phases.
    """

    rollouts: navigation_rollout.Rollout
    rand: np.ndarray | None
    updates: int


def summarize(outcomes: Mapping[str, Outcome]) -> dict[str, dict[str, Any]]:
    """The numbers of the table; standard deviations are over seeds, ddof = 1."""
    return {
        title: {
            "updates": outcome.updates,
            "return_mean": float(outcome.rollouts.returns.mean()),
            "return_std": statistics.sample_std(outcome.rollouts.returns.mean(axis=1)),
            "optimal_share": float((outcome.rollouts.returns > OPTIMAL).mean()),
            "rand_index": None if outcome.rand is None else outcome.rand.tolist(),
        }
        for title, outcome in outcomes.items()
    }


def format_table(outcomes: Mapping[str, Outcome]) -> str:
    """Markdown, a row a method."""
    header = ["method", "updates", "return", f"rollouts above {OPTIMAL:g}"]
    header.append("Rand index by seed, %")
    lines = []
    for title, row in summarize(outcomes).items():
        rand = row["rand_index"]
        lines.append(
            [
                title,
                f"{row['updates']:,}",
                f"{row['return_mean']:.0f} ± {row['return_std']:.0f}",
                f"{row['optimal_share']:.0%}",
                "-" if rand is None else " ".join(f"{100 * r:.1f}" for r in rand),
            ]
        )
    return markdown.table(header, lines)
