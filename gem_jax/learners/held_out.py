"""Trajectories that a density is not fitted to, so that its fit can be judged on them.

Which ones is a function of their numbers and lengths alone: every seed, and every run
that resumes, holds out the same.
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
from gem_jax.learners import mixture_policy
from gem_jax.ops import mixture
from gem_jax.types import Array, EnvSpec, Metrics, Params, PRNGKey, Transition

MARK = "held_out"
_NUM_ROWS = 4096  # at most, to compare parameters on
_COMPARISONS = 20  # at most, in the phase
_GOLDEN = np.uint32(2_654_435_769)  # 2^32 / golden ratio; odd, so no place recurs
_MOST = 2  # times its share of the rows may be held out
_EPISODE = 'extras["episode"], the number of the trajectory of each row'


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


def mark_on_entry(every: int, spec: EnvSpec) -> PrepareFn:
    """A ``prepare`` that marks the held-out rows, in ``extras["held_out"]``.

    A mark is 0, or the inverse of the share of held-out rows: the mean of some quantity
    times its mark is the quantity's mean over held-out rows, for a batch on average.
    Nothing is marked where there are fewer trajectories than ``every``. Where the first
    to hold out is too long, see ``is_held_out``, all marks are 0.

    Args:
      every: one trajectory in so many is held out; 0 for none.
      spec: of the dataset.
    """
    count = spec.num_episodes

    def prepare(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        del key
        if not 0 < every <= count or "episode" not in dataset.extras:
            return state, {}
        held_out = is_held_out(dataset.extras["episode"], count, every)
        held_out = held_out.astype(dataset.reward.dtype)
        share = jnp.maximum(jnp.mean(held_out), 1.0 / held_out.size)
        return state, {MARK: held_out / share}

    return prepare


def check(
    dataset: Transition, log: Callable[[str], None], *, count: int, every: int
) -> None:
    """Refuses a dataset of which no part serves to compare parameters on.

    Raises:
      UserError: there are fewer than ``every`` trajectories, their numbers are missing
        or not those of ``count`` trajectories, or the first to hold out is too long.
    """
    del log
    needs, off = "behavior_keep_best needs", "leave it off or lower behavior_held_out"
    if "episode" not in (dataset.extras or {}):
        raise errors.UserError(f"{needs} dataset.{_EPISODE}; add them or leave it off")
    if count < every:
        raise errors.UserError(
            f"{needs} {every} trajectories, the data have {count} by EnvSpec; {off}"
        )
    episode = np.asarray(dataset.extras["episode"])
    if not 0 <= episode.min() <= episode.max() < count:
        raise errors.UserError(
            f"{needs} dataset.{_EPISODE}, from 0 to {count - 1}; there are "
            f"{episode.min()} to {episode.max()}"
        )
    if not np.any(is_held_out(jnp.asarray(episode, jnp.int32), count, every)):
        raise errors.UserError(
            f"{needs} trajectories to hold out, but the first of them has more than "
            f"{_MOST} rows in {every}; leave it off"
        )


def is_held_out(episode: Array, count: int, every: int) -> Array:
    """`[D]` bool: whether rows belong to a held-out trajectory, one in ``every``.

    Those are the floor(count / every) trajectories with the lowest multiples of the
    golden ratio, modulo 1, which are spread evenly over any regular succession of
    policies in the data. As many of them are held out, the lowest first, as have
    together at most twice their share of the rows, 2 in ``every``; that may be none
    where few trajectories have most of the rows.

    Args:
      episode: `[D]` int32 number of each row's trajectory, from 0.
      count: J, all trajectories.
      every: from 1 to ``count``.
    """
    lowest = _lowest(count, every)
    lengths = jnp.bincount(episode, length=count)
    fits = jnp.cumsum(lengths[lowest]) <= _MOST * episode.size // every
    return jnp.zeros(count, bool).at[lowest].set(fits)[episode]


def _lowest(count: int, every: int) -> np.ndarray:
    """`[floor(count / every)]` trajectories, the lowest multiple first."""
    # From 1, or trajectory 0 would be the first whatever the data.
    place = np.arange(1, count + 1, dtype=np.uint32) * _GOLDEN
    return np.argsort(place)[: count // every]


def fitted_rows(batch: Transition) -> Array:
    """`[B]` 1 for rows to fit, 0 for held-out ones."""
    mark = batch.extras.get(MARK, jnp.zeros_like(batch.reward))
    return (mark == 0.0).astype(batch.reward.dtype)


def nll_means(nll: Array, batch: Transition) -> Metrics:
    """The mean NLL `[]` of fitted rows and, if any are marked, of held-out ones.

    Both are of the same parameters, and cost nothing: the rows are in the batch anyway.
    The second is the first where marks are 0 throughout the data.

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
    behavior: mixture_policy.MixtureLearner,
    count: int,
    every: int,
    pretraining: Phase,
    training: Phase,
    taken: Callable[[State, Array], State],
) -> tuple[Phase, Phase]:
    """Both phases, with comparisons in the first, the best of which enters the second.

    At most 21 parameters are compared, evenly spaced from the first to the last.

    States have a ``behavior`` and a ``best_behavior``. ``taken`` gives the state that
    enters the second phase what else hangs on the behavior, by log-densities of
    held-out rows, `[rows]`. That phase must leave the behavior alone, so that entering
    it again changes nothing.
    """

    def log_prob(params: Params, dataset: Transition) -> Array:
        rows = _spread(dataset, count, every)
        return mixture.log_prob(behavior.apply(params, rows.observation), rows.action)

    def compare(state: State, key: PRNGKey, dataset: Transition, step: Array) -> State:
        del key, step
        params, best = state.behavior.params, state.best_behavior
        nll = -jnp.mean(log_prob(params, dataset))
        return dataclasses.replace(state, best_behavior=_better(best, params, nll))

    def take_best(
        state: State, key: PRNGKey, dataset: Transition
    ) -> tuple[State, Mapping[str, Array]]:
        state = compare(state, key, dataset, jnp.int32(0))  # with the last parameters
        params = jax.tree.map(jnp.copy, state.best_behavior.params)
        state = dataclasses.replace(
            state, behavior=state.behavior._replace(params=params)
        )
        return taken(state, log_prob(params, dataset)), {}

    between = -(-pretraining.num_steps // _COMPARISONS)
    return (
        pretraining._replace(refresh=compare, refresh_every=between),
        training._replace(prepare=take_best),
    )


def _spread(dataset: Transition, count: int, every: int) -> Transition:
    """Held-out rows spread evenly over the dataset, as many as serve to compare."""
    held_out = is_held_out(dataset.extras["episode"], count, every)
    so_far = jnp.cumsum(held_out)
    size = min(_NUM_ROWS, held_out.shape[0])
    places = jnp.arange(size) * (so_far[-1] / size)
    index = jnp.searchsorted(so_far, places.astype(so_far.dtype) + 1)
    return jax.tree.map(lambda leaf: leaf[index], dataset)


def _better(best: Best, params: Params, nll: Array) -> Best:
    """The best of the best so far and ``params``, whose held-out NLL is ``nll``."""
    better = nll < best.nll
    return Best(
        jax.tree.map(lambda new, old: jnp.where(better, new, old), params, best.params),
        jnp.where(better, nll, best.nll),
    )
