"""A data card in Markdown: who acted, how well, in how many ways, and where."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from experiments.lib import markdown
from gem_jax.data import coverage, episodes, faults

_LEAST = 1_000  # transitions that a mixture is fitted to
_FEWEST = 20  # episodes, or pieces of them, of which each tenth is held out


def text(
    facts: Mapping[str, Any],
    verdicts: Sequence[faults.Verdict],
    gap: float | None,
    picture: str,
) -> str:
    """The card.

    Args:
      facts: provenance and description, as ``inspect`` gives them.
      verdicts: of ``gem_jax.data.faults``.
      gap: of ``multimodality``, nats per action; None where it was not measured.
      picture: name of the page of plots beside the card.
    """
    return "\n".join(_lines(facts, verdicts, gap, picture)) + "\n"


def measure_gap(recorded: Sequence[episodes.Episode], num_steps: int) -> float | None:
    """What eight Gaussians explain of held-out actions beyond one, nats per action.

    Actions beyond [-1, 1] are scaled to it first, by their extremes. Of fewer than
    twenty episodes pieces are held out.

    Args:
      recorded: episodes, none of them empty.
      num_steps: gradient steps for each mixture; 0 measures nothing.

    Returns:
      The gap, or None for fewer than a thousand transitions or numbers that are not
      finite.
    """
    finite = all(map(episodes.is_finite, recorded))
    if not num_steps or not finite or sum(map(len, recorded)) < _LEAST:
        return None
    from experiments.lib import cli, multimodality  # jax is slow to start

    cli.require_platform()
    return multimodality.held_out_nll(_pieces(_scaled(recorded)), num_steps)["gap"]


def _scaled(recorded: Sequence[episodes.Episode]) -> Sequence[episodes.Episode]:
    actions = np.concatenate([episode.actions for episode in recorded])
    low, high = actions.min(axis=0), actions.max(axis=0)
    if np.abs([low, high]).max() <= 1.0:
        return recorded
    half = np.where(high > low, (high - low) / 2, 1.0)
    middle = (high + low) / 2
    return [
        dataclasses.replace(episode, actions=(episode.actions - middle) / half)
        for episode in recorded
    ]


def _pieces(recorded: Sequence[episodes.Episode]) -> list[episodes.Episode]:
    if len(recorded) >= _FEWEST:
        return list(recorded)
    size = max(1, sum(map(len, recorded)) // _FEWEST)
    return [
        episodes.cut(episode, start, min(start + size, len(episode)))
        for episode in recorded
        for start in range(0, len(episode), size)
    ]


def _lines(
    facts: Mapping[str, Any],
    verdicts: Sequence[faults.Verdict],
    gap: float | None,
    picture: str,
) -> Iterator[str]:
    yield f"# Data card: {facts['env']}\n"
    yield (
        f"{facts['num_transitions']:,} transitions in {facts['num_episodes']:,} "
        f"episodes, {facts['whole_episodes']:,} of them whole. Source "
        f"`{facts['source']}`, `{facts['id']}`, SHA-256 `{facts['sha256'][:16]}`.\n"
    )
    yield f"![Returns, lengths, rewards, actions, states, faults]({picture})\n"
    yield "## Who acted\n"
    yield _policies(facts["policies"])
    yield "## How good\n"
    yield f"Level: **{facts['level']}** ({facts['level_rule']}).\n"
    quantiles = facts["return_quantiles"]
    if quantiles:
        yield markdown.table(
            ["quantile", *quantiles],
            [["return", *(f"{value:.4g}" for value in quantiles.values())]],
        )
    if facts["behavior_score"] is not None:
        yield f"\nMean normalized score: {facts['behavior_score']:.1f}."
    yield f"\nEpisodes with a positive return: {facts['rewarded_episodes']:,}.\n"
    yield "## How multimodal\n"
    yield _modes(gap)
    yield "## How covered\n"
    yield _covered(facts["coverage"])
    yield "## Faults\n"
    found = [faults.line(verdict) for verdict in verdicts if verdict.found]
    yield "\n".join(f"* {line}" for line in found) or "None of those known."


def _policies(policies: Mapping[str, Mapping[str, float]] | None) -> str:
    if policies is None:
        return "Not recorded: no step is labeled with a policy.\n"
    rows = [
        [
            label,
            f"{one['episodes']:,}",
            f"{one['transitions']:,}",
            "-" if one["return_mean"] is None else f"{one['return_mean']:.4g}",
        ]
        for label, one in policies.items()
    ]
    header = ["policy", "episodes", "transitions", "mean return"]
    return markdown.table(header, rows) + "\n"


def _modes(gap: float | None) -> str:
    if gap is None:
        return "Not measured.\n"
    return (
        f"Gap: {gap:.2f} nats per action, the held-out NLL of one Gaussian minus that "
        "of an 8-component mixture. Near 0 one Gaussian does; skewed or saturated "
        "actions have a gap too.\n"
    )


def _covered(measured: Mapping[str, Any]) -> str:
    if measured["rank"] is None:
        return "The states never change.\n"
    return (
        f"Effective rank of the states: {measured['rank']:.1f} of "
        f"{measured['features']} features that change. Cells visited, of "
        f"{coverage.CELLS} x {coverage.CELLS} in the plane of the first two principal "
        f"components: {measured['cells']:.0%}.\n"
    )
