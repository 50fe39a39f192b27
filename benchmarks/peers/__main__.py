"""Compares our methods with d3rlpy's: the same data, settings and environment.

python -m benchmarks.peers export  --envs=hopper-medium-replay-v2 --output=peers
python -m benchmarks.peers compare --envs=hopper-medium-replay-v2 --methods=bc,iql \
    --python=d3rlpy-venv/bin/python --output=peers

``export`` writes ``OUTPUT/ENV/data.hdf5`` in D4RL's layout. ``compare`` does that too,
trains each method by both libraries from that file, and evaluates both by the same
episodes. ``--python`` is the interpreter of an environment with the packages in
``benchmarks/peers/requirements.txt``. ``OUTPUT/scores.csv`` has a row a library and
seed; the same command continues what was interrupted, and ``table`` prints what there
is. ``OUTPUT/ENV/METHOD.json`` says which settings both have, and what could not be made
equal.
"""

from __future__ import annotations

import os
import pathlib
import shutil

from absl import flags

from benchmarks.peers import comparison, layout, settings, table
from experiments.lib import cli
from gem_jax import data, errors
from gem_jax.data import tasks

_ENVS = flags.DEFINE_list("envs", [], "Tasks.")
_METHODS = flags.DEFINE_list("methods", list(settings.PEERS), "Methods to compare.")
_SOURCE = flags.DEFINE_string("source", "local", "Of the data, as for training.")
_PYTHON = flags.DEFINE_string(
    "python", "python", "Interpreter of d3rlpy's environment, for compare."
)
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 2, "Of each library.", lower_bound=1)
_STEPS = flags.DEFINE_integer("steps", 30_000, "Gradient steps.", lower_bound=1)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 256, "Transitions.", lower_bound=1)
_EPISODES = flags.DEFINE_integer("episodes", 20, "Of every seed.", lower_bound=1)
_OUTPUT = flags.DEFINE_string("output", "runs/peers", "Folder of all that is written.")

SCORES = "scores.csv"


def main(argv: list[str]) -> None:
    """Runs the command that is the one positional argument."""
    commands = {"export": _export, "compare": _compare, "table": _table}
    if len(argv) != 2 or argv[1] not in commands:
        raise errors.UserError(
            f"expected one command of {', '.join(commands)}; got {argv[1:]}"
        )
    if not _ENVS.value and argv[1] != "table":
        raise errors.UserError("give --envs=NAME,NAME")
    for env in _ENVS.value:
        tasks.of_table(env)
    for method in _METHODS.value:
        settings.require(method)
    commands[argv[1]]()


def _export() -> None:
    for env in _ENVS.value:
        print(_data_file(env))


def _data_file(env: str) -> pathlib.Path:
    """The data of a task, written unless they are there."""
    path = pathlib.Path(_OUTPUT.value).resolve() / env / "data.hdf5"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        recorded, _ = data.read(env, _SOURCE.value)
        layout.write(path, recorded)
    return path


def _compare() -> None:
    interpreter = shutil.which(_PYTHON.value)
    if interpreter is None:  # not after hours of our own training
        raise errors.UserError(
            f"--python={_PYTHON.value} is no program; name the interpreter of an "
            "environment with benchmarks/peers/requirements.txt"
        )
    output = pathlib.Path(_OUTPUT.value) / SCORES
    for env in _ENVS.value:
        file = _data_file(env)
        for method in _METHODS.value:
            cell = comparison.make_cell(
                env,
                method,
                file,
                seeds=range(_NUM_SEEDS.value),
                steps=_STEPS.value,
                batch_size=_BATCH_SIZE.value,
                interpreter=os.path.abspath(interpreter),
                episodes=_EPISODES.value,
            )
            comparison.complete(output, cell)
    _table()


def _table() -> None:
    path = pathlib.Path(_OUTPUT.value) / SCORES
    rows = comparison.read(path, _STEPS.value, _EPISODES.value)
    print(table.format_table(rows))


if __name__ == "__main__":
    cli.run(main)
