"""The seeds of a pair, which may be those of several runs."""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax import errors
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
    found = {path: _seeds(path, wanted) for path in there}
    needed = {path: own for path, own in found.items() if set(own) & set(wanted)}
    for block in _blocks(set(wanted) - {s for own in needed.values() for s in own}):
        # The first run of a pair has the plain name.
        path = folder.with_name(f"{folder.name}{_MORE}{block[0]}") if found else folder
        found[path] = needed[path] = block
    return dict(sorted(needed.items(), key=lambda item: item[1]))


def _seeds(folder: pathlib.Path, wanted: Sequence[int]) -> list[int]:
    """A run's seeds; of a damaged record all, for its training to say what is amiss."""
    try:
        seeds = rundir.read_json(folder / rundir.CONFIG)["seeds"]
        return [int(seed) for seed in seeds]
    except (errors.UserError, KeyError, TypeError, ValueError):
        return list(wanted)


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
    """One summary of the wanted seeds that the runs have.

    Time adds up over runs; speed is the first run's.
    """
    places = {
        seed: (summary, i)
        for summary in summaries
        for i, seed in enumerate(summary["seeds"])
    }
    had = [seed for seed in wanted if seed in places]
    whole = dict(summaries[0]) | {
        "seeds": had,
        "wall_seconds": sum(summary["wall_seconds"] for summary in summaries),
    }
    for name in _OVER_SEEDS:
        if summaries[0].get(name):
            values = [places[s][0][name]["per_seed"][places[s][1]] for s in had]
            whole[name] = run_record.over_seeds(values)
    return whole
