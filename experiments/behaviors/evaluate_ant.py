"""Compares the AntMaze behavior, noise included, with D4RL's recipe and D4RL's ant.

    python -m experiments.behaviors.evaluate_ant --episodes=192

prints, for every recipe, the share of episodes that come within half a meter of the
behavior's goal inside the time limit, the median steps to it, the shares of steps with
the ant on its back and of episodes that end so, and the speed of generation; then, for
several points that the rewards of a set may be made for, the share of steps with a
reward and of episodes with one, and D4RL's where measured. The points are offsets (m)
from the center of the cell of evaluation's goal, from the middle of D4RL's draws to
near their edges. `start-to-goal` rows run from the start cell to the goal of
evaluation, as the evaluated agents must.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
from absl import flags

from experiments.behaviors import ant_measures
from experiments.lib import cli
from gem_jax import errors
from gem_jax.data import episodes as episodes_lib
from gem_jax.data.local import ant_maze as behavior
from gem_jax.envs import ant_maze

FLAGS = flags.FLAGS
flags.DEFINE_integer("episodes", 192, "Episodes per recipe.")
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


def chosen(names: Sequence[str]) -> dict[str, behavior.Recipe]:
    """The rows of these names; all if empty.

    Raises:
      UserError: a name is unknown.
    """
    known = dict(recipes())
    for name in names:
        if name not in known:
            raise errors.UserError(
                f"--recipes: {name!r} is unknown; choose some of {', '.join(known)}"
            )
    return {name: known[name] for name in names or known}


def steps_to_goal(episode: episodes_lib.Episode) -> float:
    """Steps until the ant is within reach of the behavior's goal; infinity if never."""
    hits = ant_measures.near(episode, episode.infos["goal"])
    return float(np.argmax(hits)) + 1 if hits.any() else np.inf


def main(argv: list[str]) -> None:
    """Prints a line per recipe and one per point."""
    cli.no_arguments(argv)
    for name, recipe in chosen(FLAGS.recipes).items():
        steps = FLAGS.episodes * behavior.EPISODE_STEPS
        start = time.perf_counter()
        shard = behavior.generate(recipe, steps, np.random.SeedSequence(FLAGS.seed))
        rate = steps / (time.perf_counter() - start)
        arrival = np.array([steps_to_goal(episode) for episode in shard])
        fallen, ended = ant_measures.upside_down(shard)
        limit = 700 if recipe.maze == "umaze" else 1000
        print(
            f"{name:22s} reached {np.mean(arrival <= limit):.3f}  "
            f"median steps {np.median(arrival):.0f}  on its back {fallen:.3f}  "
            f"to the end {ended:.3f}  {rate:.0f} steps/s"
        )
        for offset in ant_measures.POINTS:
            shares = ant_measures.rewarded(shard, recipe.maze, offset)
            print(_line(shares, name, offset), flush=True)


def _line(ours: tuple[float, float], name: str, offset: ant_measures.Offset) -> str:
    line = f"  {offset}: rewarded steps {ours[0]:.4f}  episodes {ours[1]:.3f}"
    theirs = ant_measures.D4RL.get(name, {}).get(offset)
    return line + (f"  (D4RL {theirs[0]:.4f}, {theirs[1]:.3f})" if theirs else "")


if __name__ == "__main__":
    cli.run(main)
