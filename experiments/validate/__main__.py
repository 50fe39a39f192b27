"""What training measures, on data that a run was not trained on.

python -m experiments.validate --workdir=runs/cube-single-play-singletask-v0/gem/seed0

Each phase's metrics, such as losses and the behavior's NLL, on batches of a validation
set and by the last checkpoint, beside those of the phase's last line in
``metrics.jsonl``. What is made of the data, such as the rewards, is as in the run.
Without ``--source`` the validation set is

* of OGBench's original ``NAME.npz`` its ``NAME-val.npz``, downloaded if need be;
* of a run on ``file:NAME.npz`` the ``NAME-val.npz`` beside it;
* of a run on local data a set of another seed, a tenth as large, by the same recipe.
"""

from __future__ import annotations

import pathlib
import re
from collections.abc import Mapping
from typing import Any

import jax
from absl import flags

from experiments.lib import cli
from experiments.validate import measuring
from gem_jax import data, errors, run_settings
from gem_jax.data import tasks
from gem_jax.training import checkpoint, loop, rundir

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_SOURCE = flags.DEFINE_string("source", None, "Of the validation set, as for training.")
_SEED = flags.DEFINE_integer(
    "seed", 1, "Of local data; runs use 0 by default.", lower_bound=0
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions",
    None,
    "Size of local data; of others the leading ones.",
    lower_bound=1,
)
_BATCHES = flags.DEFINE_integer("batches", 200, "Of each phase.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Measures and prints a table."""
    cli.no_arguments(argv)
    workdir = pathlib.Path(_WORKDIR.value)
    record = rundir.require_format(rundir.read_json(workdir / rundir.CONFIG))
    dataset = _load(record, rundir.read_json(workdir / rundir.DATASET))
    algorithm = measuring.rebuild(record, dataset)
    transitions = measuring.as_trained(record, algorithm, dataset)
    state = _restore(workdir, record)
    seeds, batches = record["seeds"], _BATCHES.value
    measured = dict(measuring.measure(algorithm, state, seeds, transitions, batches))
    lines = rundir.read_lines(workdir / rundir.METRICS)
    print(measuring.format_table(lines, measured))


def _load(record: Mapping[str, Any], origin: Mapping[str, Any]) -> data.OfflineDataset:
    task, size = tasks.of_run(record), _NUM_TRANSITIONS.value
    source = _SOURCE.value or measuring.default_source(task, origin)
    if source == "local" and size is None:
        size = max(1, origin["num_transitions"] // 10)
    dataset = data.load(task, source, measuring.options(record, size), seed=_SEED.value)
    found = dataset.provenance
    if found.sha256 == origin["sha256"] or _draw(found.id) == _draw(origin["id"]):
        raise errors.UserError(
            f"{found.id} is what the run was trained on, or a part of it; give another "
            "--source, or --seed"
        )
    return dataset


def _draw(name: str) -> str:
    """Of a set that was made here, what its id says but its size: a smaller one of the
    same seed may be the beginning of a larger one."""
    return re.sub(r"(/local-s\d+)-n\d+-v\d+$", r"\1", name)


def _restore(workdir: pathlib.Path, record: dict[str, Any]) -> loop.State:
    algorithm, _ = run_settings.rebuild(record)
    keys = loop.seed_keys(record["seeds"])
    like = jax.eval_shape(lambda: loop.init(algorithm, keys))
    with checkpoint.open_store(workdir, record["identity"], read_only=True) as store:
        restored = checkpoint.restore(store, like)
    if restored is None:
        raise errors.UserError(f"{workdir} has no checkpoint yet; train first")
    state: loop.State = restored.state
    return state


if __name__ == "__main__":
    cli.run(main)
