"""The metrics of a run's phases on other data than it was trained on."""

from __future__ import annotations

import dataclasses
import functools
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.lib import markdown
from gem_jax import algorithms, data, errors, run_settings
from gem_jax.algorithm import Algorithm, Phase
from gem_jax.data import download, transforms
from gem_jax.data.task import Task
from gem_jax.runs import statistics
from gem_jax.training import admission, loop, n_step
from gem_jax.types import Array, Metrics, PRNGKey, Transition


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
        _, prepared, extras = loop.prepare(phase, state, keys, seen)
        means = _make_means(phase, batches)
        found = means(state.algorithm, keys, extras, prepared)
        yield phase.name, jax.device_get(found)


def format_table(
    lines: list[dict[str, Any]], measured: Mapping[str, Mapping[str, Array]]
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


def as_trained(
    record: Mapping[str, Any], algorithm: Algorithm, dataset: data.OfflineDataset
) -> Transition:
    """The transitions, with what the run adds to them before training."""
    episode: Any = dataset.episode_id.astype(np.int32)
    transitions = dataset.transitions._replace(extras={"episode": episode})
    if algorithm.n_step_discount is None:
        return transitions
    n = record["data"]["n_step"]
    return n_step.span(transitions, n, algorithm.n_step_discount)


def _shapes(algorithm: Algorithm) -> list[Any]:
    state = jax.eval_shape(algorithm.init, jax.random.key(0))
    return [leaf.shape for leaf in jax.tree.leaves(state)]
