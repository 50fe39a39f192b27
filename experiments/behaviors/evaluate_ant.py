"""Measures how often the AntMaze behavior reaches its own goal, noise included.

    python -m experiments.behaviors.evaluate_ant --episodes=128

prints, for every recipe, the share of episodes that come within half a meter of the
behavior's goal inside the time limit, the mean steps to it, the share of steps that
carry a reward, and the speed of generation. `start-to-goal` rows run from the start
cell to the goal of evaluation, as the evaluated agents must.
"""

from __future__ import annotations

import time
from collections.abc import Iterator

import numpy as np
from absl import flags

from experiments import cli
from gem_jax.data import episodes as episodes_lib
from gem_jax.data.local import ant_maze as behavior
from gem_jax.envs import ant_maze

FLAGS = flags.FLAGS
flags.DEFINE_integer("episodes", 128, "Episodes per recipe.")
flags.DEFINE_integer("seed", 0, "Seed.")
flags.DEFINE_list("recipes", [], "Rows to run, by name; all if empty.")

_SETS = "umaze umaze-diverse medium-play medium-diverse large-play large-diverse"


def recipes() -> Iterator[tuple[str, behavior.Recipe]]:
    """All rows: the six data sets and the ways that evaluation asks for."""
    for name in _SETS.split():
        yield name, behavior.recipe(f"antmaze-{name}-v2")
    for maze in ("medium", "large"):  # the umaze set is this already
        layout = ant_maze.MAZES[maze]
        way = behavior.Recipe(maze, (layout.start,), 0.0, (layout.eval_goal,))
        yield f"{maze} start-to-goal", way


def steps_to_goal(episode: episodes_lib.Episode) -> float:
    """Steps until the ant is within reach of the behavior's goal; infinity if never."""
    offset = episode.observations[1:, :2] - episode.infos["goal"]
    hits = np.linalg.norm(offset, axis=1) <= ant_maze.SUCCESS_RADIUS
    return float(np.argmax(hits)) + 1 if hits.any() else np.inf


def main(argv: list[str]) -> None:
    """Prints a line per recipe."""
    cli.no_arguments(argv)
    for name, recipe in recipes():
        if FLAGS.recipes and name not in FLAGS.recipes:
            continue
        steps = FLAGS.episodes * behavior.EPISODE_STEPS
        start = time.perf_counter()
        shard = behavior.generate(recipe, steps, np.random.SeedSequence(FLAGS.seed))
        rate = steps / (time.perf_counter() - start)
        arrival = np.array([steps_to_goal(episode) for episode in shard])
        limit = 700 if recipe.maze == "umaze" else 1000
        reached = arrival <= limit
        mean_steps = arrival[reached].mean() if reached.any() else np.nan
        reward = np.mean([episode.rewards.mean() for episode in shard])
        rewarded = np.mean([episode.rewards.any() for episode in shard])
        print(
            f"{name:22s} episodes {len(shard)}  reached {reached.mean():.3f}  "
            f"steps {mean_steps:.0f}  rewarded episodes {rewarded:.3f}  "
            f"rewarded steps {reward:.4f}  {rate:.0f} steps/s",
            flush=True,
        )


if __name__ == "__main__":
    cli.run(main)
