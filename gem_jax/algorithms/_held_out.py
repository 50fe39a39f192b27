"""Trajectories that a density is not fitted to, so that its fit can be judged on them.

Which ones is a function of their numbers alone: every seed, and every run that resumes,
holds out the same.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import flax.struct
import jax
import jax.numpy as jnp
import numpy as np

from gem_jax import errors
from gem_jax.algorithm import Phase, PrepareFn, State
from gem_jax.algorithms import _mixture, _observations
from gem_jax.ops import mixture
from gem_jax.types import Array, EnvSpec, Metrics, Params, PRNGKey, Transition

MARK = "held_out"
_NUM_ROWS = 4096  # at most, to compare parameters on
_COMPARISONS = 20  # at most, in the phase
_GOLDEN = 2_654_435_769  # 2^32 / golden ratio


@flax.struct.dataclass
class Best:
    """Attributes:
    params: those with the lowest held-out NLL so far.
    nll: `[]` that NLL; infinite before the first comparison.
    """

    params: Params
    nll: Array


def nothing(params: Params) -> Best:
    """What any comparison betters; parameters of the same shapes are copied."""
    return Best(jax.tree.map(jnp.copy, params), jnp.array(jnp.inf, jnp.float32))


def mark_on_entry(prepare: PrepareFn, every: int, spec: EnvSpec) -> PrepareFn:
    """A ``prepare`` that also marks the held-out rows, in ``extras["held_out"]``.

    A mark is 0, or the inverse of the share of held-out rows: the mean of some quantity
    times its mark is the quantity's mean over held-out rows, for a batch on average.
    Nothing is marked where there are fewer trajectories than ``every``.

    Args:
      prepare: what else is done.
      every: one trajectory in so many is held out; 0 for none.
      spec: of the dataset.
    """

    def prepare_and_mark(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        state, extras = prepare(state, key, dataset)
        if not 0 < every <= spec.num_episodes or "episode" not in dataset.extras:
            return state, extras
        held_out = is_held_out(dataset.extras["episode"], every)
        held_out = held_out.astype(dataset.reward.dtype)
        return state, {**extras, MARK: held_out / jnp.mean(held_out)}

    return prepare_and_mark


def check(dataset: Transition, log: Callable[[str], None], *, every: int) -> None:
    """Refuses a dataset that is too small to compare parameters on a part of it.

    Raises:
      UserError: there are fewer than ``every`` trajectories.
    """
    del log
    count = len(np.unique(np.asarray(dataset.extras["episode"])))
    if count < every:
        raise errors.UserError(
            f"behavior_keep_best needs {every} trajectories, the data have {count}; "
            "leave it off or lower behavior_held_out"
        )


def is_held_out(episode: Array, every: int) -> Array:
    """`[...]` bool: whether rows belong to a held-out trajectory, one in ``every``.

    Multiples of the golden ratio, modulo 1, are spread evenly over any regular
    succession of policies in the data. Trajectory 0 is always held out.

    Args:
      episode: `[...]` int32 number of each row's trajectory.
      every: at least 1.
    """
    place = episode.astype(jnp.uint32) * jnp.uint32(_GOLDEN)
    return place <= jnp.uint32(2**32 // every - 1)


def fitted_rows(batch: Transition) -> Array:
    """`[B]` 1 for rows to fit, 0 for held-out ones."""
    mark = batch.extras.get(MARK, jnp.zeros_like(batch.reward))
    return (mark == 0.0).astype(batch.reward.dtype)


def nll_means(nll: Array, batch: Transition) -> Metrics:
    """The mean NLL `[]` of fitted rows and, if any are marked, of held-out ones.

    Both are of the same parameters, and cost nothing: the rows are in the batch anyway.

    Args:
      nll: `[B]`.
      batch: with marks, or without.
    """
    if MARK not in batch.extras:
        return {"behavior/nll": jnp.mean(nll)}
    fitted, mark = fitted_rows(batch), batch.extras[MARK]
    values = jnp.stack([nll * fitted, fitted, nll * mark, mark])
    nll_sum, share, marked_sum, marked = jnp.mean(values, axis=1)
    nll_fitted = nll_sum / jnp.maximum(share, 1.0 / nll.shape[0])
    # Of the mean of mark times (NLL - NLL of fitted rows): how many marked rows happen
    # to be in the batch moves the gap alone, and where none is, the gap is 0.
    gap = marked_sum - marked * nll_fitted
    return {"behavior/nll": nll_fitted, "behavior/held_out_nll": nll_fitted + gap}


def keep_best(
    behavior: _mixture.MixtureLearner, every: int, pretraining: Phase, training: Phase
) -> tuple[Phase, Phase]:
    """Both phases, with comparisons in the first, the best of which enters the second.

    States have a ``behavior``, a ``normalizer`` and a ``best_behavior``. The second
    phase must leave the behavior alone, so that entering it again changes nothing.
    """

    def compare(state: State, key: PRNGKey, dataset: Transition) -> State:
        del key
        rows = _observations.normalized(state.normalizer, _spread(dataset, every))
        params, best = state.behavior.params, state.best_behavior
        policy = behavior.policy(params, rows.observation)
        nll = -jnp.mean(mixture.log_prob(policy, rows.action))
        return dataclasses.replace(state, best_behavior=_better(best, params, nll))

    def take_best(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        state = compare(state, key, dataset)  # with the last parameters
        params = jax.tree.map(jnp.copy, state.best_behavior.params)
        taken = state.behavior._replace(params=params)
        return dataclasses.replace(state, behavior=taken), {}

    steps = pretraining.num_steps
    shortest = -(-steps // _COMPARISONS)
    between = next(n for n in range(shortest, steps + 1) if steps % n == 0)
    return (
        pretraining._replace(refresh=compare, refresh_every=between),
        training._replace(prepare=take_best),
    )


def _spread(dataset: Transition, every: int) -> Transition:
    """Held-out rows spread evenly over the dataset, as many as serve to compare."""
    held_out = is_held_out(dataset.extras["episode"], every)
    count = jnp.cumsum(held_out)
    size = min(_NUM_ROWS, held_out.shape[0])
    places = jnp.arange(size) * (count[-1] / size)
    index = jnp.searchsorted(count, places.astype(count.dtype) + 1)
    return jax.tree.map(lambda leaf: leaf[index], dataset)


def _better(best: Best, params: Params, nll: Array) -> Best:
    """The best of the best so far and ``params``, whose held-out NLL is ``nll``."""
    better = nll < best.nll
    return Best(
        jax.tree.map(lambda new, old: jnp.where(better, new, old), params, best.params),
        jnp.where(better, nll, best.nll),
    )
