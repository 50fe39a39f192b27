"""Trying the candidates of states that a policy visits."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from experiments.ranking import branches
from gem_jax import acting, errors
from gem_jax.algorithm import Judged
from gem_jax.policy import Policy

_STREAM = 0x72616E6B  # sets these episodes apart from an evaluation's
_JUDGED_AT_ONCE = 16  # states; more would only take memory

Row = dict[str, Any]


def make_judge(policy: Policy) -> Callable[..., Judged]:
    """Of rows of states: candidates, and the scores that one is chosen by.

    Raises:
      UserError: there is no choice, or it is not one of the candidates.
    """
    judge = acting.make_judge(policy.algorithm)
    if policy.knobs.anchor == "none":
        raise errors.UserError(
            "--anchor=none leaves nothing to compare the choice with; choose an anchor"
        )
    if policy.knobs.top_m > 1:
        raise errors.UserError(
            f"top_m={policy.knobs.top_m} executes an average, which is no candidate; "
            "add --top_m=1"
        )

    @jax.jit
    def judge_rows(
        params: Any, key: Any, observations: Any, steps: Any, knobs: Any
    ) -> Judged:
        def one(row: Any) -> Judged:
            number, observation, t = row
            row_key = jax.random.fold_in(key, number)
            return judge(params, row_key, observation, t, knobs)

        rows = jnp.arange(len(steps)), observations, steps
        return jax.lax.map(one, rows, batch_size=_JUDGED_AT_ONCE)

    return judge_rows


def try_all(
    play: branches.Play,
    judge: Callable[..., Judged],
    policy: Policy,
    num_states: int,
    seed: int,
    discount: float,
) -> Iterator[list[Row]]:
    """A list of rows for each state of one policy, a row a candidate.

    Args:
      play: of ``branches.make_player``.
      judge: of ``make_judge``.
      policy: visits the states, and is followed, its anchor alone, from there on.
      num_states: each of an episode of its own, at a random step.
      seed: of the policy, and so of the episodes.
      discount: gamma of the returns.

    Raises:
      UserError: the environment fails, or does not repeat itself.
    """
    key = jax.random.fold_in(jax.random.key(seed), _STREAM)
    act_key, judge_key, anchor_key = jax.random.split(key, 3)
    random = np.random.default_rng((_STREAM, seed))
    resets = random.integers(2**31, size=num_states).tolist()
    nothing = [np.zeros((0, policy.spec.action_size))] * len(resets)
    episodes = play(resets, nothing, functools.partial(_act, policy, act_key))
    places = np.array([random.integers(len(e.rewards)) for e in episodes])
    states = np.stack(
        [e.observations[t] for e, t in zip(episodes, places, strict=True)]
    )
    judged = judge(policy.params, judge_key, states, places, policy.knobs)
    alone = policy.with_knobs(num_candidates=0, refine_steps=0)
    follow = functools.partial(_act, alone, anchor_key)
    for i, (reset, episode, t) in enumerate(zip(resets, episodes, places, strict=True)):
        mine = jax.tree.map(lambda leaf: np.asarray(leaf[i]), judged)  # noqa: B023
        scripts = [np.vstack([episode.actions[:t], action]) for action in mine.actions]
        tried = play([reset] * len(scripts), scripts, follow)
        _require_same_state(tried, states[i], t)
        place = {"state": i, "reset_seed": reset, "t": int(t)}
        yield [
            place
            | {"candidate": c, "return": branch.return_from(t, discount)}
            | {"score": float(mine.score[c])}
            | {name: float(values[c]) for name, values in mine.terms.items()}
            for c, branch in enumerate(tried)
        ]


def _act(policy: Policy, key: Any, observations: np.ndarray, t: int) -> np.ndarray:
    steps = np.full(len(observations), t)
    output = policy.act(jax.random.fold_in(key, t), observations, steps)
    return np.asarray(output.action)


def _require_same_state(
    tried: list[branches.Episode], state: np.ndarray, t: int
) -> None:
    for branch in tried:
        if len(branch.rewards) <= t or not np.array_equal(
            branch.observations[t], state
        ):
            raise errors.UserError(
                "the environment does not repeat itself: the same reset seed and "
                "actions led elsewhere, so that no state can be returned to; have it "
                "draw all its random numbers from reset's seed"
            )
