"""The seeds of a pair, which may be those of several runs."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax.runs import run_record
from gem_jax.training import rundir

_MORE = "+seed"  # between a pair's folder and the first of the seeds that joined later
_OVER_SEEDS = ("normalized_score", "return_mean", "success_rate")


def runs(folder: pathlib.Path, wanted: Sequence[int]) -> dict[pathlib.Path, list[int]]:
    """The folders that have, or are to have, the wanted seeds, and the seeds of each.

    Runs that are there keep their seeds, also those that nobody asks for. What they
    lack is trained in runs of consecutive seeds beside them.

    Args:
      folder: of the pair.
      wanted: in ascending order.
    """
    later = folder.parent.glob(f"{folder.name}{_MORE}*")
    there = [path for path in (folder, *later) if (path / rundir.CONFIG).exists()]
    found = {
        path: list(rundir.read_json(path / rundir.CONFIG)["seeds"]) for path in there
    }
    needed = {path: seeds for path, seeds in found.items() if set(seeds) & set(wanted)}
    for seeds in _blocks(set(wanted) - {s for own in needed.values() for s in own}):
        # The first run of a pair has the plain name.
        path = folder.with_name(f"{folder.name}{_MORE}{seeds[0]}") if found else folder
        found[path] = needed[path] = seeds
    return needed


def _blocks(seeds: set[int]) -> list[list[int]]:
    blocks: list[list[int]] = []
    for seed in sorted(seeds):
        if blocks and seed == blocks[-1][-1] + 1:
            blocks[-1].append(seed)
        else:
            blocks.append([seed])
    return blocks


def merged(
    summaries: Sequence[Mapping[str, Any]], wanted: Sequence[int]
) -> dict[str, Any]:
    """One summary of the wanted seeds, of runs that have them all.

    Time adds up over runs; speed is the first run's.
    """
    places = {
        seed: (summary, i)
        for summary in summaries
        for i, seed in enumerate(summary["seeds"])
    }
    whole = dict(summaries[0]) | {
        "seeds": list(wanted),
        "wall_seconds": sum(summary["wall_seconds"] for summary in summaries),
    }
    for name in _OVER_SEEDS:
        if summaries[0].get(name):
            values = [places[s][0][name]["per_seed"][places[s][1]] for s in wanted]
            whole[name] = run_record.over_seeds(values)
    return whole
