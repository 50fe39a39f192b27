"""Measures a robot's policies and picks the tiers of its local data sets.

    python -m experiments.behaviors.select_locomotion --robot=hopper --output=hopper.npz

reads the `policy_STEP.npz` files of ``train_locomotion``. The medium policy is the one
whose episodes lie nearest to the score of D4RL's medium policy, and this whether it
samples or executes the mean of its actions, so that a clone, which learns the mean,
neither beats it nor falls short by much. The expert is the best. These two and a
selection of the others, evenly spread over training, go to ``--output``, in float16, to
replace the file in ``gem_jax/data/local``. Every score that is printed or stored is of
the weights as stored; of sampled actions, where nothing else is said.
"""

from __future__ import annotations

import concurrent.futures
import functools
import pathlib
from typing import Any

import numpy as np
from absl import flags

from experiments.behaviors import actor, tiers
from experiments.lib import cli
from gem_jax import errors
from gem_jax.data.local import locomotion, tanh_gaussian

FLAGS = flags.FLAGS
flags.DEFINE_enum(
    "robot", None, list(tiers.MEDIUM_SCORES), "Which robot.", required=True
)
flags.DEFINE_string("workdir", None, "Folder; runs/behaviors/ROBOT if unset.")
flags.DEFINE_string("output", None, "File of the chosen policies; nothing if unset.")
flags.DEFINE_integer("episodes", 10, "Episodes for each policy.")
flags.DEFINE_integer("final_episodes", 50, "Episodes for each policy that may win.")
flags.DEFINE_integer("finalists", 4, "May become the expert.", 1)
flags.DEFINE_integer("seed", 0, "Seed of the episodes.")

Arrays = dict[str, np.ndarray]


def read(path: pathlib.Path) -> Arrays:
    """The weights of a policy, rounded to float16 as they will be stored."""
    with np.load(path, allow_pickle=False) as file:
        return {k: file[k].astype(np.float16) for k in file if "metadata" not in k}


def measure(path: pathlib.Path, robot: str, episodes: int, seed: int) -> np.ndarray:
    """Returns `[episodes]` of a policy that samples."""
    params = tanh_gaussian.params_from_arrays(read(path))
    rng = np.random.default_rng(seed)
    env = locomotion.make_env(robot)
    env.reset(seed=seed)
    runs = (
        locomotion.run_episode(env, params, 0, locomotion.EPISODE_STEPS, rng)
        for _ in range(episodes)
    )
    return np.array([run.rewards.sum(dtype=np.float64) for run in runs])


def measure_mean(
    path: pathlib.Path, robot: str, episodes: int, seed: int
) -> np.ndarray:
    """Returns `[episodes]` of the mean action, which a squared error's clone learns."""
    params = tanh_gaussian.params_from_arrays(read(path))
    env = locomotion.make_env(robot)
    observation, _ = env.reset(seed=seed)
    returns = np.zeros(episodes)
    for episode in range(episodes):
        for _ in range(locomotion.EPISODE_STEPS):
            action = tanh_gaussian.mean(params, observation.astype(np.float32))
            observation, reward, fallen, _, _ = env.step(action)
            returns[episode] += reward
            if fallen:
                break
        observation, _ = env.reset()
    return returns


def select(paths: list[pathlib.Path], robot: str, pool: Any) -> dict[str, Any]:
    """Measures all policies and returns the content of the output file."""
    steps = np.array([actor.step_of(path) for path in paths])
    few = {"robot": robot, "episodes": FLAGS.episodes, "seed": FLAGS.seed}
    sampled = np.stack(list(pool.map(functools.partial(measure, **few), paths)))
    mean = np.stack(list(pool.map(functools.partial(measure_mean, **few), paths)))
    returns = sampled.mean(axis=1)
    sampled, mean = tiers.normalized(robot, sampled), tiers.normalized(robot, mean)
    for step, *scores in zip(steps, sampled, mean, strict=True):
        texts = [f"{s.mean():6.1f} ± {s.std():4.1f}" for s in scores]
        print(f"{step:>9,} steps  {texts[0]}  mean action {texts[1]}", flush=True)
    medium = tiers.pick_medium(sampled, mean, tiers.MEDIUM_SCORES[robot])
    best = np.argsort(returns)[-FLAGS.finalists :].tolist()
    finalists = [medium, *best]
    many = functools.partial(
        measure, robot=robot, episodes=FLAGS.final_episodes, seed=FLAGS.seed
    )
    final = list(pool.map(many, [paths[i] for i in finalists]))
    for i, measured in zip(finalists, final, strict=True):
        returns[i] = measured.mean()
        low, high = (
            tiers.normalized(robot, r) for r in np.percentile(measured, [10, 90])
        )
        print(
            f"{steps[i]:>9,} steps  {tiers.normalized(robot, returns[i]):6.1f}  "
            f"(10 % below {low:.1f}, 10 % above {high:.1f})"
        )
    expert = max(finalists, key=lambda i: returns[i])
    kept = tiers.spread(steps, medium, expert)
    weights = [read(paths[i]) for i in kept]
    return {
        "steps": steps[kept],
        "returns": returns[kept],
        "medium": np.int64(kept.index(medium)),
        "expert": np.int64(kept.index(expert)),
        **{name: np.stack([w[name] for w in weights]) for name in weights[0]},
    }


def main(argv: list[str]) -> None:
    """Measures, picks and writes."""
    cli.no_arguments(argv)
    workdir = pathlib.Path(FLAGS.workdir or f"runs/behaviors/{FLAGS.robot}")
    paths = sorted(workdir.glob("policy_*.npz"))
    if len(paths) < 2:
        raise errors.UserError(
            f"{workdir} holds {len(paths)} policies and two are needed; train them by "
            f"python -m experiments.behaviors.train_locomotion --robot={FLAGS.robot}"
        )
    with concurrent.futures.ProcessPoolExecutor() as pool:
        content = select(paths, FLAGS.robot, pool)
    for tier in ("medium", "expert"):
        i = int(content[tier])
        score = tiers.normalized(FLAGS.robot, content["returns"][i])
        print(f"{tier}: {content['steps'][i]:,} steps, score {score:.1f}")
    if FLAGS.output:
        np.savez_compressed(FLAGS.output, **content)


if __name__ == "__main__":
    cli.run(main)
