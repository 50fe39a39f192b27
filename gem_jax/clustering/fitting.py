"""The whole of EMPO's Algorithm 1 on arrays in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gem_jax.clustering import checks, em, likelihood
from gem_jax.clustering.settings import Settings
from gem_jax.types import Metrics, PRNGKey


class Epoch(NamedTuple):
    """What ``on_epoch`` is told.

    Attributes:
      number: from 0, over all stages.
      stage: ``"biased"``, ``"uniform"`` or ``"em"``.
      state: after the epoch. The next one takes its memory: copy what shall last.
      metrics: means over the epoch.
    """

    number: int
    stage: str
    state: em.State
    metrics: Metrics


class Fit(NamedTuple):
    """Attributes:
    state: after the last epoch; behaviors and classifier are in it.
    posterior: `[J, K]` Q(z|tau) of the final behaviors, without momentum.
    assignment: `[J]` int32, its maximum.
    """

    state: em.State
    posterior: np.ndarray
    assignment: np.ndarray


def fit(
    key: PRNGKey,
    data: likelihood.Trajectories,
    settings: Settings,
    *,
    classify: bool = True,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
    log: Callable[[str], None] = print,
) -> Fit:
    """Clusters trajectories; an epoch's minibatches are drawn with replacement.

    Args:
      key: consumed; fixes the result.
      data: observations should be normalized; trajectories numbered from 0, in order.
      settings: which heuristics, how long, how large.
      classify: whether q(z|s) is learned too; the clusters do not depend on it.
      on_epoch: called after each epoch.
      log: takes a warning.

    Raises:
      UserError: see ``checks.check``.
    """
    observation, action, episode = map(np.asarray, data)
    checks.check(observation, action, episode, settings.num_clusters, log)
    num_transitions, num_trajectories = len(episode), int(episode[-1]) + 1
    sizes = (observation.shape[1], action.shape[1], num_trajectories, num_transitions)
    clusterer = em.make(settings, *sizes)
    data = likelihood.Trajectories(*map(jnp.asarray, data))
    init_key, loop_key = jax.random.split(key)
    state = jax.jit(clusterer.init)(init_key)
    run_epoch = make_epoch(clusterer, settings)
    e_step = jax.jit(clusterer.e_step)
    for number, (stage, first) in enumerate(_stages(settings)):
        start_key, epoch_key = jax.random.split(jax.random.fold_in(loop_key, number))
        if first:
            biased = stage == "biased"
            state = (
                clusterer.bias(state, start_key) if biased else clusterer.even(state)
            )
        if stage == "em":
            state = e_step(state, data)
        labels = classify and stage == "em"
        state, metrics = run_epoch(state, epoch_key, data, classify=labels)
        on_epoch(Epoch(number, stage, state, jax.device_get(metrics)))
    posterior = jax.jit(clusterer.responsibilities)(state.target_policies, data)
    assignment = np.asarray(jnp.argmax(posterior, axis=-1), np.int32)
    empty = sorted(set(range(settings.num_clusters)) - set(assignment.tolist()))
    if empty:
        log(f"warning: no trajectory fell into cluster {', '.join(map(str, empty))}")
    return Fit(state, np.asarray(posterior), assignment)


def _stages(settings: Settings) -> Iterator[tuple[str, bool]]:
    """Name of the stage of each epoch, and whether the stage begins with it."""
    lengths = {
        "biased": settings.biased_epochs,
        "uniform": settings.uniform_epochs,
        "em": settings.em_epochs,
    }
    for stage, length in lengths.items():
        yield from ((stage, i == 0) for i in range(length))


def make_epoch(clusterer: em.Clusterer, settings: Settings) -> Callable:
    """``(state, key, data, classify) -> (state, mean metrics)``, jitted."""

    def epoch(
        state: em.State, key: PRNGKey, data: likelihood.Trajectories, classify: bool
    ) -> tuple[em.State, Metrics]:
        size = data.action.shape[0]

        def step(state: em.State, step_key: PRNGKey) -> tuple[em.State, Metrics]:
            row = jax.random.randint(
                step_key, (settings.batch_size,), 0, size, jnp.int32
            )
            batch = jax.tree.map(lambda leaf: leaf[row], data)
            state, metrics = clusterer.m_step(state, batch)
            if classify:
                state, more = clusterer.classify_step(state, batch)
                metrics = {**metrics, **more}
            return state, metrics

        keys = jax.random.split(key, settings.steps_per_epoch(size))
        state, metrics = jax.lax.scan(step, state, keys)
        return state, jax.tree.map(jnp.mean, metrics)

    return jax.jit(epoch, static_argnames="classify", donate_argnums=0)
