"""Measures a robot's policies and picks the tiers of its local data sets.

    python -m experiments.behaviors.select_locomotion --robot=hopper --output=hopper.npz

reads the `policy_STEP.npz` files of ``train_locomotion``. The medium policy is the
earliest one about as good as D4RL's medium policy, and so whether it samples or plays
its mode: what clones a policy's mean should not beat it. The expert is the best. These
two and a selection of the others, evenly spread over training, go to ``--output``, in
float16, to replace the file in ``gem_jax/data/local``. Every score that is printed or
stored is of the weights as stored and of sampled actions.
"""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from absl import app, flags

from experiments.behaviors import actor
from gem_jax.data import tasks
from gem_jax.data.local import locomotion, tanh_gaussian

# Mean normalized scores of D4RL's own medium sets, about.
MEDIUM_SCORES = {"halfcheetah": 42.0, "hopper": 42.0, "walker2d": 58.0}
TOLERANCE = 6.0  # points
REPLAY_POLICIES = 20  # before the medium policy, and as many after it

FLAGS = flags.FLAGS
flags.DEFINE_enum("robot", None, list(MEDIUM_SCORES), "Which robot.", required=True)
flags.DEFINE_string("workdir", None, "Folder; runs/behaviors/ROBOT if unset.")
flags.DEFINE_string("output", None, "File of the chosen policies; nothing if unset.")
flags.DEFINE_integer("episodes", 10, "Episodes for each policy.")
flags.DEFINE_integer("final_episodes", 100, "Episodes for each policy that may win.")
flags.DEFINE_integer("finalists", 5, "Policies that may become the expert.")
flags.DEFINE_integer("seed", 0, "Seed of the episodes.")

Arrays = dict[str, np.ndarray]


def read(path: pathlib.Path) -> Arrays:
    """The weights of a policy, rounded to float16 as they will be stored."""
    with np.load(path, allow_pickle=False) as file:
        return {k: file[k].astype(np.float16) for k in file if "metadata" not in k}


class Silence:
    """In place of a generator: noise of zero, which makes a policy play its mode."""

    def standard_normal(self, shape: tuple[int, int], dtype: Any) -> np.ndarray:
        return np.zeros(shape, dtype)


def measure(
    path: pathlib.Path, robot: str, episodes: int, seed: int, mode: bool = False
) -> np.ndarray:
    """Returns `[episodes]` of a policy that samples, or plays its mode."""
    params = tanh_gaussian.params_from_arrays(read(path))
    rng: Any = Silence() if mode else np.random.default_rng(seed)
    env = locomotion.make_env(robot)
    env.reset(seed=seed)
    runs = (
        locomotion.run_episode(env, params, 0, locomotion.EPISODE_STEPS, rng)
        for _ in range(episodes)
    )
    return np.array([run.rewards.sum(dtype=np.float64) for run in runs])


def normalized(robot: str, episode_return: float) -> float:
    """D4RL's score of a return."""
    return tasks.get(f"{robot}-medium-v2").normalized_score(episode_return)


def pick_medium(scores: np.ndarray, modes: np.ndarray, target: float) -> int:
    """The earliest policy with both scores near ``target``; else the nearest."""
    distance = np.maximum(np.abs(scores - target), np.abs(modes - target))
    near = np.flatnonzero(distance <= TOLERANCE)
    return int(near[0]) if near.size else int(np.argmin(distance))


def spread(steps: np.ndarray, medium: int, expert: int) -> list[int]:
    """Indices to keep: the named policies, and others evenly spread over training."""
    before = np.linspace(0, medium, REPLAY_POLICIES + 1)
    after = np.linspace(medium, len(steps) - 1, REPLAY_POLICIES + 1)
    return sorted({*np.rint([*before, *after]).astype(int).tolist(), expert})


def select(paths: list[pathlib.Path], robot: str, pool: Any) -> dict[str, Any]:
    """Measures all policies and returns the content of the output file."""
    run = functools.partial(measure, robot=robot, seed=FLAGS.seed)
    steps = np.array([actor.step_of(path) for path in paths])
    few = functools.partial(run, episodes=FLAGS.episodes)
    returns = np.array([r.mean() for r in pool.map(few, paths)])
    alike = functools.partial(few, mode=True)
    modes = np.array([normalized(robot, r.mean()) for r in pool.map(alike, paths)])
    scores = np.array([normalized(robot, r) for r in returns])
    for step, score, mode in zip(steps, scores, modes, strict=True):
        print(f"{step:>9,} steps  {score:6.1f}, mode {mode:6.1f}", flush=True)
    medium = pick_medium(scores, modes, MEDIUM_SCORES[robot])
    finalists = [medium, *np.argsort(scores)[-FLAGS.finalists :].tolist()]
    final = list(
        pool.map(
            functools.partial(run, episodes=FLAGS.final_episodes),
            [paths[i] for i in finalists],
        )
    )
    for i, measured in zip(finalists, final, strict=True):
        returns[i] = measured.mean()
        low, high = (normalized(robot, r) for r in np.percentile(measured, [10, 90]))
        print(
            f"{steps[i]:>9,} steps  {normalized(robot, returns[i]):6.1f}  "
            f"(10 % below {low:.1f}, 10 % above {high:.1f})"
        )
    expert = max(finalists, key=lambda i: returns[i])
    kept = spread(steps, medium, expert)
    weights = [read(paths[i]) for i in kept]
    return {
        "steps": steps[kept],
        "returns": returns[kept],
        "medium": np.int64(kept.index(medium)),
        "expert": np.int64(kept.index(expert)),
        **{name: np.stack([w[name] for w in weights]) for name in weights[0]},
    }


def main(argv: Sequence[str]) -> None:
    """Measures, picks and writes."""
    del argv
    workdir = pathlib.Path(FLAGS.workdir or f"runs/behaviors/{FLAGS.robot}")
    paths = sorted(workdir.glob("policy_*.npz"))
    with concurrent.futures.ProcessPoolExecutor() as pool:
        content = select(paths, FLAGS.robot, pool)
    for tier in ("medium", "expert"):
        i = int(content[tier])
        score = normalized(FLAGS.robot, content["returns"][i])
        print(f"{tier}: {content['steps'][i]:,} steps, score {score:.1f}")
    if FLAGS.output:
        np.savez_compressed(FLAGS.output, **content)


if __name__ == "__main__":
    app.run(main)
