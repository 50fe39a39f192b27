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

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.lib import cli, markdown
from gem_jax import algorithms, data, errors, run_settings
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.data import download, tasks, transforms
from gem_jax.data.task import Task
from gem_jax.runs import statistics
from gem_jax.training import admission, checkpoint, loop, n_step, rundir
from gem_jax.types import Array, Metrics, PRNGKey, Transition

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_SOURCE = flags.DEFINE_string("source", None, "Of the validation set, as for training.")
_SEED = flags.DEFINE_integer("seed", 1, "Of local data; runs use 0.", lower_bound=0)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", None, "Size of local data; of others the leading ones."
)
_BATCHES = flags.DEFINE_integer("batches", 200, "Of each phase.", lower_bound=1)


def main(argv: list[str]) -> None:
    """Measures and prints a table."""
    cli.no_arguments(argv)
    workdir = pathlib.Path(_WORKDIR.value)
    record = rundir.require_format(rundir.read_json(workdir / rundir.CONFIG))
    dataset = _load(record, rundir.read_json(workdir / rundir.DATASET))
    algorithm = rebuild(record, dataset)
    transitions = _as_trained(record, algorithm, dataset)
    state = _restore(workdir, record)
    measured = measure(algorithm, state, record["seeds"], transitions, _BATCHES.value)
    print(format_table(rundir.read_lines(workdir / rundir.METRICS), dict(measured)))


def rebuild(record: Mapping[str, Any], dataset: data.OfflineDataset) -> Algorithm:
    """The run's algorithm, bound to the sizes of another dataset.

    Raises:
      UserError: its state keeps something of each of its transitions or trajectories.
    """
    config, spec = run_settings.settings(dict(record))
    sizes = len(dataset.transitions.reward), len(dataset.episode_offsets) - 1
    other = spec._replace(num_transitions=sizes[0], num_episodes=sizes[1])
    larger = spec._replace(
        num_transitions=spec.num_transitions + 1, num_episodes=spec.num_episodes + 1
    )
    make = functools.partial(algorithms.make, record["algo"], config)
    if _shapes(make(spec)) != _shapes(make(larger)):
        raise errors.UserError(
            f"{record['algo']} keeps numbers of each transition it was trained on, and "
            "cannot be measured on others; validate a run of another algorithm"
        )
    return make(other)


def measure(
    algorithm: Algorithm,
    state: loop.State,
    seeds: list[int],
    transitions: Transition,
    batches: int,
) -> Iterator[tuple[str, Metrics]]:
    """Yields each phase's name and its metrics `[S]`, means over batches.

    An update's metrics are of the weights before it, so none of them is kept.

    Args:
      algorithm: bound to the sizes of the dataset.
      state: of a run, leading axis `S`.
      seeds: `S`.
      transitions: leaves `[D, ...]`, raw observations.
      batches: of each phase.
    """
    normalizer = loop.select_seed(state, 0).normalizer  # all seeds have the same
    admitted = admission.admit(transitions)
    seen = admitted._replace(
        observation=normalizer(admitted.observation),
        next_observation=normalizer(admitted.next_observation),
    )
    keys = loop.seed_keys(seeds)
    for phase in algorithm.phases:
        _, extras = loop.make_prepare(phase)(state, keys, seen)
        means = _make_means(phase, batches)
        yield phase.name, jax.device_get(means(state.algorithm, keys, extras, seen))


def format_table(
    lines: list[dict[str, Any]], measured: Mapping[str, Mapping[str, np.ndarray]]
) -> str:
    """A line a metric: of training, from the lines of metrics.jsonl, and measured.

    Phases that training has not reached are left out.
    """
    rows = []
    for phase, metrics in measured.items():
        last = {line["seed"]: line for line in lines if line["phase"] == phase}
        for name, values in metrics.items() if last else ():
            trained = [line[name] for line in last.values() if name in line]
            rows.append([phase, name, _show(trained), _show(values)])
    return markdown.table(["phase", "metric", "training", "validation"], rows)


def _show(values: Any) -> str:
    if not len(values):
        return "-"
    spread = f" ± {statistics.sample_std(values):.2g}" if len(values) > 1 else ""
    return f"{np.mean(values):.4g}{spread}"


def _make_means(phase: Phase, batches: int) -> Any:
    def one_seed(
        state: Any, key: PRNGKey, extras: Mapping[str, Array], dataset: Transition
    ) -> Metrics:
        joined = dataset._replace(extras={**dataset.extras, **extras})
        last = jnp.int32(phase.num_steps - 1)

        def metrics_of(key: PRNGKey) -> Metrics:
            sample_key, update_key = jax.random.split(key)
            batch = phase.sample(sample_key, joined, phase.batch_size, last)
            return phase.update(state, update_key, batch, last)[1]

        found = jax.lax.map(metrics_of, jax.random.split(key, batches))
        return jax.tree.map(jnp.mean, found)

    return loop.over_seeds(one_seed, shared=(3,), donate=())


def _load(record: Mapping[str, Any], origin: Mapping[str, Any]) -> data.OfflineDataset:
    task, size = tasks.of_run(record), _NUM_TRANSITIONS.value
    source = _SOURCE.value or default_source(task, origin)
    if source == "local" and size is None:
        size = max(1, origin["num_transitions"] // 10)
    dataset = data.load(task, source, options(record, size), seed=_SEED.value)
    if dataset.provenance.sha256 == origin["sha256"]:
        raise errors.UserError(
            f"{dataset.provenance.id} is what the run was trained on; give another "
            "--source, or --seed"
        )
    return dataset


def options(record: Mapping[str, Any], size: int | None) -> data.DataOptions:
    """A run's, for another set: its numbers for the rewards, not its rule for them."""
    rewards = transforms.RewardTransform(**record["identity"]["rewards"])
    made = record["data"] | {"num_transitions": size, "reward_transform": rewards}
    return data.DataOptions(**made | {"repair": tuple(made["repair"])})


def default_source(task: Task, origin: Mapping[str, Any]) -> str:
    """Of the validation set that belongs to a run's ``dataset.json``.

    Raises:
      UserError: there is none, or it cannot be reached.
    """
    if origin["source"] == "ogbench" and task.original is not None:
        path = _validation(task.original.path)
        original = dataclasses.replace(task.original, path=path)
        return f"file:{download.fetch(dataclasses.replace(task, original=original))}"
    if origin["source"] == "local":
        return "local"
    beside = _validation(origin["id"])
    if origin["source"] == "file" and pathlib.Path(beside).is_file():
        return f"file:{beside}"
    raise errors.UserError(
        f"no validation set comes with {origin['id']}, such as {beside}; give --source"
    )


def _validation(name: str) -> str:
    path = pathlib.PurePosixPath(name)
    return str(path.with_name(f"{path.stem}-val{path.suffix}"))


def _as_trained(
    record: Mapping[str, Any], algorithm: Algorithm, dataset: data.OfflineDataset
) -> Transition:
    episode: Any = dataset.episode_id.astype(np.int32)
    transitions = dataset.transitions._replace(extras={"episode": episode})
    if algorithm.n_step_discount is None:
        return transitions
    n = record["data"]["n_step"]
    return n_step.span(transitions, n, algorithm.n_step_discount)


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


def _shapes(algorithm: Algorithm) -> list[Any]:
    state = jax.eval_shape(algorithm.init, jax.random.key(0))
    return [leaf.shape for leaf in jax.tree.leaves(state)]


if __name__ == "__main__":
    cli.run(main)
