"""Measures how well a run's scores rank actions, by what the actions lead to.

python -m experiments.ranking --workdir=runs/maze2d-medium-v1/gem/seed0 --states=30

In states that the run's own rule visits, each of its candidates is tried: the episode
is played again up to that state, the candidate executed, and the anchor followed to the
end. What comes out bounds what choosing among these candidates can bring: whether the
score ranks them, what the choice gains over the anchor, and what the best would gain.
Every knob of the run's algorithm is a flag; the table is a CSV file with a line a state
and candidate, and is written anew.
"""

from __future__ import annotations

import pathlib
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from absl import flags

from experiments.lib import cli, csv_rows, knob_flags, reevaluation
from experiments.ranking import branches, report
from gem_jax import algorithms, errors, run_settings
from gem_jax.envs.checked import CheckedEnv
from gem_jax.policy import Policy
from gem_jax.training import evaluation
from gem_jax.utils import progress

_WORKDIR = flags.DEFINE_string("workdir", None, "A run folder.", required=True)
_STATES = flags.DEFINE_integer("states", 30, "States a seed, each of its own episode.")
_CHECKPOINT = flags.DEFINE_integer("checkpoint", None, "Step; the newest if not given.")
_OUTPUT = flags.DEFINE_string("output", None, "Default: WORKDIR/ranking.csv.")

_STREAM = 0x72616E6B  # sets these episodes apart from an evaluation's


def parse(argv: list[str]) -> list[str]:
    """Parses twice: the run tells which knobs become flags."""
    return cli.parse_twice(
        argv, lambda _: knob_flags.define(knob_flags.of_run(_WORKDIR.value))
    )


def main(argv: list[str]) -> None:
    """Tries the candidates of every seed's states, writes and sums up."""
    cli.no_arguments(argv)
    if _STATES.value < 1:
        raise errors.UserError(f"--states must be at least 1, got {_STATES.value}")
    folder = pathlib.Path(_WORKDIR.value)
    run = reevaluation.load(folder, _CHECKPOINT.value)
    run = run.with_knobs(knob_flags.given(run.policies[0].knobs))
    judge, discount = _judge(run), _discount(run)
    rows: list[dict[str, Any]] = []
    shown = progress.Progress("ranking", _STATES.value * len(run.policies), "states")
    for origin, policy in zip(run.origins(), run.policies, strict=True):
        for tried in _tried(policy, run, judge, discount, origin["seed"]):
            rows += [origin | row for row in tried]
            shown.add(1)
    output = pathlib.Path(_OUTPUT.value or folder / "ranking.csv")
    csv_rows.write(output, list(rows[0]), rows)
    print(report.summary(rows))
    print(f"in {output}")


def _tried(
    policy: Policy,
    run: reevaluation.TrainedRun,
    judge: Callable[..., Any],
    discount: float,
    seed: int,
) -> Iterator[list[dict[str, Any]]]:
    """A list of rows for each state of one seed."""
    key = jax.random.fold_in(jax.random.key(seed), _STREAM)
    random = np.random.default_rng((_STREAM, seed))
    size = policy.knobs.set_size
    at_once = max(1, evaluation.MAX_ENVS // size)
    environments = [CheckedEnv(run.task) for _ in range(size * at_once)]
    for first in range(0, _STATES.value, at_once):
        count = min(at_once, _STATES.value - first)
        resets = random.integers(2**31, size=count)
        nothing = [np.zeros((0, policy.spec.action_size))] * count
        whole = branches.play(environments, resets, nothing, _actor(policy, key))
        places = [random.integers(len(episode.rewards)) for episode in whole]
        states = np.stack([e.observations[t] for e, t in zip(whole, places)])
        judged = judge(policy.params, key, states, np.array(places), policy.knobs)
        actions = np.asarray(policy.spec.action_box.to_raw(judged["action"]))
        scripts = [
            np.concatenate([episode.actions[:t], actions[i, c][None]])
            for i, (episode, t) in enumerate(zip(whole, places))
            for c in range(size)
        ]
        anchor = _actor(policy.with_knobs(num_candidates=0, top_m=1), key)
        played = branches.play(environments, np.repeat(resets, size), scripts, anchor)
        for i, t in enumerate(places):
            mine = played[i * size : (i + 1) * size]
            _require_same_state(run, mine, states[i], t)
            yield [
                {"state": first + i, "t": int(t), "candidate": c}
                | {"return": branches.return_from(episode, t, discount)}
                | {name: float(judged[name][i, c]) for name in report.SCORES}
                for c, episode in enumerate(mine)
            ]
    for environment in environments:
        environment.close()


def _judge(run: reevaluation.TrainedRun) -> Callable[..., dict[str, jax.Array]]:
    """Of rows of states: candidates, and what their scores are made of."""
    module = algorithms.lookup(run.record["algo"])
    if not hasattr(module, "make_judge"):
        raise errors.UserError(
            f"{run.record['algo']} scores no candidates; that takes an algorithm with "
            "make_judge, as gem"
        )
    if run.policies[0].knobs.anchor == "none":
        raise errors.UserError("--anchor=none leaves nothing to compare with")
    judge = module.make_judge(*run_settings.settings(run.record))

    @jax.jit
    def judged(params: Any, key: Any, observations: Any, steps: Any, knobs: Any):
        def one(row: Any, observation: Any, t: Any) -> dict[str, jax.Array]:
            row_key = jax.random.fold_in(key, row)
            seen = params.normalizer(observation)
            found, scores = judge(params.params, row_key, seen, t, knobs)
            return dict(
                action=found.actions,
                score=scores.total,
                lcb=scores.lcb,
                support=scores.support,
                q_std=jnp.std(found.q_values, axis=0),
            )

        return jax.vmap(one)(jnp.arange(len(steps)), observations, steps)

    return judged


def _actor(policy: Policy, key: Any) -> branches.Act:
    def act(observations: np.ndarray, steps: np.ndarray) -> np.ndarray:
        step_key = jax.random.fold_in(key, int(steps[0]))
        return np.asarray(policy.act(step_key, observations, steps).action)

    return act


def _discount(run: reevaluation.TrainedRun) -> float:
    config, _ = run_settings.settings(run.record)
    return config.discount


def _require_same_state(
    run: reevaluation.TrainedRun,
    episodes: list[branches.Episode],
    state: np.ndarray,
    t: int,
) -> None:
    if any(not np.array_equal(e.observations[t], state) for e in episodes):
        raise errors.UserError(
            f"{run.task.env_id} does not repeat itself: the same reset seed and "
            "actions led to another state, so that none can be returned to"
        )


if __name__ == "__main__":
    cli.run(main, parse)
