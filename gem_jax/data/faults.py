"""The known faults of offline datasets, each looked for and answered with a line.

Most were found by users of D4RL's files (the numbers are its issues). Nothing is
refused or changed here; a verdict names the repair that ``--repair`` would make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from gem_jax import errors
from gem_jax.data import episodes, motion, tasks, transitions, validate
from gem_jax.envs import point_maze

SATURATED = 0.999  # an action in [-1, 1] beyond it counts as saturated
_MANY_SATURATED = 0.05  # share of action components
_REWARDS_THAT_FIT = 0.9  # share of rewards that the goal of evaluation explains

_Episodes = Sequence[episodes.Episode]


class Verdict(NamedTuple):
    """What was found out about one fault.

    Attributes:
      fault: its name.
      found: whether the data have it.
      detail: one line with the figures.
      repair: name in ``gem_jax.data.repairs`` of what helps; None where nothing need
        or can be done on loading.
    """

    fault: str
    found: bool
    detail: str
    repair: str | None


def examine(recorded: _Episodes, task: tasks.Task) -> list[Verdict]:
    """Looks for every known fault.

    Args:
      recorded: at least one episode, none of them empty.
      task: says what the numbers of an observation mean.
    """
    verdicts = []
    for fault, (check, repair) in _CHECKS.items():
        detail = check(recorded, task)
        verdicts.append(
            Verdict(
                fault, detail is not None, detail or "none", repair if detail else None
            )
        )
    return verdicts


def line(verdict: Verdict) -> str:
    """The verdict for a reader: fault, figures, remedy."""
    if not verdict.found:
        return f"ok     {verdict.fault}"
    remedy = f"; --repair={verdict.repair}" if verdict.repair else ""
    return f"FOUND  {verdict.fault}: {verdict.detail}{remedy}"


def _unfit(recorded: _Episodes, task: tasks.Task) -> str | None:
    try:
        validate.check(recorded, task, "data", lambda line: None)
    except errors.UserError as error:
        return f"training would refuse this: {error}"
    return None


def _not_finite(recorded: _Episodes, task: tasks.Task) -> str | None:
    del task
    bad = [i for i, episode in enumerate(recorded) if not episodes.is_finite(episode)]
    return f"NaN or infinity in {len(bad)} episodes, first {bad[0]}" if bad else None


def _out_of_bounds(recorded: _Episodes, task: tasks.Task) -> str | None:
    actions = np.concatenate([episode.actions for episode in recorded])
    size = np.abs(task.action_box.to_unit(actions))
    size = np.where(np.isfinite(size), size, 0.0)
    worst = np.unravel_index(size.argmax(), size.shape)
    bound = 1.0 + validate.ACTION_TOLERANCE
    return f"actions reach {abs(actions[worst]):.4g}" if size[worst] > bound else None


def _position_jumps(recorded: _Episodes, task: tasks.Task) -> str | None:
    """D4RL issue 77: resets inside what the file calls one episode."""
    counts = [len(motion.jumps(e, task.motion)) for e in recorded]
    if not any(counts):
        return None
    hit = np.count_nonzero(counts)
    return f"{sum(counts)} steps in {hit} episodes are no motion but a reset"


def _terminals_inside(recorded: _Episodes, task: tasks.Task) -> str | None:
    """D4RL issue 199: AntMaze's relabeled terminals do not end the episode.

    Nothing need be mended: values stop at these steps anyway, and what follows shows
    ways to goals that an evaluation draws elsewhere.
    """
    del task
    inside = sum(int(episode.terminations[:-1].sum()) for episode in recorded)
    if not inside:
        return None
    hit = sum(bool(episode.terminations[:-1].any()) for episode in recorded)
    return (
        f"{inside} terminal steps inside {hit} episodes, which go on after them; "
        "training takes each as an end"
    )


def _rewards_lag(recorded: _Episodes, task: tasks.Task) -> str | None:
    """D4RL issue 194: Maze2D's reward belongs to the state before the step."""
    if task.suite != "maze2d":
        return None
    goal = np.array(point_maze.goal_cell(task.world))

    def near(positions: np.ndarray) -> np.ndarray:
        return np.linalg.norm(positions[:, :2] - goal, axis=1) <= point_maze.GOAL_RADIUS

    rewarded = [e.rewards > 0 for e in recorded]
    count = sum(int(hit.sum()) for hit in rewarded)
    early, late = (
        sum(
            int((near(e.observations[places]) & hit).sum())
            for e, hit in zip(recorded, rewarded, strict=True)
        )
        for places in (slice(None, -1), slice(1, None))
    )
    # Data of another goal or other coordinates fit neither state.
    if early <= late or early < _REWARDS_THAT_FIT * count:
        return None
    return f"{early - late} more rewards fit the state before the step than that after"


def _rewards_scattered(recorded: _Episodes, task: tasks.Task) -> str | None:
    """AntMaze's rewards belong to one goal of evaluation, of radius 0.5 m."""
    if task.suite != "antmaze":
        return None
    places = [
        e.observations[1:, :2][e.rewards > 0] for e in recorded if e.rewards.any()
    ]
    if not places:
        return "no step is rewarded"
    joined = np.concatenate(places)
    spread = float(np.linalg.norm(joined - joined.mean(axis=0), axis=1).max())
    return f"rewarded states lie up to {spread:.1f} m apart" if spread > 1.5 else None


def _early_time_outs(recorded: _Episodes, task: tasks.Task) -> str | None:
    """D4RL issue 85: Maze2D's time-outs mark targets reached; others cut a data set."""
    lengths = np.array([len(e) for e in recorded if not e.terminations[-1]])
    early = int((lengths < task.horizon - 1).sum())  # readers may drop the last step
    return f"{early} of {len(recorded)} episodes are cut short" if early else None


def _beyond_horizon(recorded: _Episodes, task: tasks.Task) -> str | None:
    """AntMaze's episodes last 1001 steps, whatever the limit of evaluation."""
    longer = [len(episode) for episode in recorded if len(episode) > task.horizon]
    if not longer:
        return None
    return (
        f"{len(longer)} episodes of up to {max(longer)} steps are longer than the "
        f"{task.horizon} of evaluation"
    )


def _terminal_at_horizon(recorded: _Episodes, task: tasks.Task) -> str | None:
    """Where both fall together the time-out wins: the state is not a dead end."""
    both = sum(bool(e.terminations[-1]) and len(e) >= task.horizon for e in recorded)
    if task.suite in ("antmaze", "ogbench") or not both:
        return None
    return f"{both} episodes end terminally at the time limit itself"


def _open_end(recorded: _Episodes, task: tasks.Task) -> str | None:
    del task
    open_ends = sum(not (e.terminations[-1] or e.truncations[-1]) for e in recorded)
    return f"{open_ends} episodes end without a flag" if open_ends else None


def _saturated(recorded: _Episodes, task: tasks.Task) -> str | None:
    """At its bound a tanh-Gaussian has no finite log-density."""
    share = saturated_share(np.concatenate([e.actions for e in recorded]), task)
    return f"{share:.1%} of action components" if share > _MANY_SATURATED else None


def _duplicates(recorded: _Episodes, task: tasks.Task) -> str | None:
    del task
    count = count_duplicates(recorded)
    return f"{count} transitions repeat an earlier one" if count else None


def _constant(recorded: _Episodes, task: tasks.Task) -> str | None:
    del task
    rewards = np.concatenate([episode.rewards for episode in recorded])
    observations = np.concatenate([episode.observations for episode in recorded])
    features = np.flatnonzero(np.ptp(observations, axis=0) == 0.0).tolist()
    facts = [f"features {features} never change"] if features else []
    facts += [f"every reward is {rewards[0]:g}"] if np.ptp(rewards) == 0.0 else []
    return "; ".join(facts) or None


def saturated_share(actions: np.ndarray, task: tasks.Task) -> float:
    """Of the components of raw actions `[D, A]`, those near the ends of their range."""
    return float(np.mean(np.abs(task.action_box.to_unit(actions)) > SATURATED))


def count_duplicates(recorded: _Episodes) -> int:
    """Transitions whose state and action repeat an earlier one's, bit for bit.

    Told by a 64-bit hash: sorting a million rows takes minutes.
    """
    flat = transitions.flatten(recorded)
    rows = np.concatenate([flat.observation, flat.action], axis=1)
    words = np.ascontiguousarray(rows, np.float32).view(np.uint32)
    weights = np.random.default_rng(0).integers(1, 2**63, words.shape[1], np.uint64)
    hashes = np.zeros(len(words), np.uint64)
    for column, weight in zip(words.T, weights, strict=True):
        hashes += column * weight
    return len(rows) - len(np.unique(hashes))


_Check = Callable[[_Episodes, tasks.Task], str | None]
_CHECKS: dict[str, tuple[_Check, str | None]] = {
    "unfit for training": (_unfit, None),
    "not finite": (_not_finite, "drop_not_finite"),
    "actions out of bounds": (_out_of_bounds, "clip_actions"),
    "position jumps": (_position_jumps, "split_jumps"),
    "terminals inside": (_terminals_inside, None),
    "rewards lag": (_rewards_lag, "shift_rewards"),
    "rewards scattered": (_rewards_scattered, None),
    "early time-outs": (_early_time_outs, None),
    "beyond the horizon": (_beyond_horizon, None),
    "terminal at the time limit": (_terminal_at_horizon, None),
    "open ends": (_open_end, None),
    "saturated actions": (_saturated, None),
    "duplicate transitions": (_duplicates, None),
    "constant numbers": (_constant, None),
}
