"""Makes local datasets with the clock running and describes them in one table.

    python -m experiments.dataset_table --output=results/local_datasets.csv

A row a task: size, episodes, mean score of the policies that acted, what a behavior
mixture of eight components explains better than one on held-out episodes (nats per
action), seconds to make it. Each set is made in a folder of its own and removed. Sets
that the file holds already, told by their recipe, are left out, so that the same
command continues.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
import time
from collections.abc import Mapping, Sequence
from typing import Any

from absl import flags

from experiments.lib import cli, csv_rows, markdown, multimodality
from gem_jax import data
from gem_jax.data import behavior_scores, ogbench, tasks
from gem_jax.data.local import generate

_ENVS = flags.DEFINE_list("envs", [], "Tasks; all but OGBench's if empty.")
_OUTPUT = flags.DEFINE_string("output", None, "CSV file.", required=True)
_MIXTURE_STEPS = flags.DEFINE_integer(
    "mixture_steps", 10_000, "Updates of each behavior mixture.", lower_bound=1
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of the data and of the mixtures.")

_IDENTITY = ("env", "source", "recipe", "seed", "mixture_steps")
_FIELDS = (
    *_IDENTITY,
    *("num_transitions", "num_episodes", "behavior_score"),
    *("nll_1", "nll_8", "nll_gap", "seconds", "cores"),
)


def main(argv: list[str]) -> None:
    """Measures what is missing and prints the whole table."""
    cli.no_arguments(argv)
    usual = [t.name for t in tasks.table().values() if t.suite != ogbench.SUITE]
    asked = [tasks.of_table(name) for name in _ENVS.value or usual]
    path = pathlib.Path(_OUTPUT.value)
    known: dict[tuple[str, ...], Mapping[str, Any]] = {
        tuple(row[name] for name in _IDENTITY): row
        for row in csv_rows.read(path, _FIELDS)
    }
    rows = []
    for task in asked:
        identity = identify(task)
        key = tuple(map(str, identity.values()))
        if key not in known:
            known[key] = identity | measure(task)
            csv_rows.append(path, _FIELDS, [known[key]])
        rows.append(known[key])
    print(format_table(rows))


def identify(task: tasks.Task) -> dict[str, Any]:
    """What fixes the numbers of a row, seconds aside."""
    recipe = generate.fingerprint(task, _SEED.value, task.num_transitions)
    values = (task.name, "local", recipe, _SEED.value, _MIXTURE_STEPS.value)
    return dict(zip(_IDENTITY, values, strict=True))


def measure(task: tasks.Task) -> dict[str, Any]:
    """The rest of a row; the set is made anew and removed."""
    before = os.environ.get("MINARI_DATASETS_PATH")
    with tempfile.TemporaryDirectory() as root:
        os.environ["MINARI_DATASETS_PATH"] = root
        try:
            start = time.perf_counter()
            recorded, provenance = data.read(task.name, "local", seed=_SEED.value)
            seconds = time.perf_counter() - start
        finally:
            del os.environ["MINARI_DATASETS_PATH"]
            if before is not None:
                os.environ["MINARI_DATASETS_PATH"] = before
    score = behavior_scores.behavior_score(recorded, task)
    assert score is not None  # names of the table have reference scores
    nll = multimodality.held_out_nll(recorded, _MIXTURE_STEPS.value, _SEED.value)
    return {
        "num_transitions": provenance.num_transitions,
        "num_episodes": provenance.num_episodes,
        "behavior_score": round(score, 2),
        "nll_1": round(nll["1"], 3),
        "nll_8": round(nll["8"], 3),
        "nll_gap": round(nll["gap"], 3),
        "seconds": round(seconds, 1),
        "cores": len(os.sched_getaffinity(0)),
    }


def format_table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Markdown."""
    header = ["task", "transitions", "episodes", "behavior's score"]
    header += ["gap of 8 to 1 (nats)", "seconds"]
    lines = [
        [
            row["env"],
            f"{int(row['num_transitions']):,}",
            f"{int(row['num_episodes']):,}",
            f"{float(row['behavior_score']):.1f}",
            f"{float(row['nll_gap']):.2f}",
            f"{float(row['seconds']):.0f}",
        ]
        for row in rows
    ]
    return markdown.table(header, lines)


if __name__ == "__main__":
    cli.run(main)
