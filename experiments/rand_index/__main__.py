"""How well trajectories are told apart, with and without EMPO's three heuristics.

    python -m experiments.rand_index --output=rand_index.csv
    python -m experiments.rand_index --envs=walker2d-medium-expert-v2 --ablations \
      --num_seeds=3 --output=rand_index.csv

Clusters local data, whose policies are known. What is not given is as in EMPO's
``laptop`` settings for the task: for locomotion EM epochs of a hundred updates, and
E-steps of averaged policies on some of the steps. Without momentum (mu = 0) such an
E-step sees these alone. The paper's form, with passes for epochs and E-steps on all
steps, is

    --em_epochs=100 --epoch_steps=0 --averaging_rate=1 --posterior_window=0 \
      --log_std_min=-5

What the file holds already is not measured again, so the same command continues.
"""

from __future__ import annotations

import itertools
import pathlib
from typing import Any

from absl import flags

from experiments.lib import cli
from experiments.rand_index import table as rand_index_table
from experiments.rand_index.table import Setting
from gem_jax import configs
from gem_jax.data import tasks

_TASKS = [
    f"{robot}-medium-expert-v2" for robot in ("halfcheetah", "hopper", "walker2d")
]
_HEURISTICS = ("momentum", "uniform_epochs", "biased_epochs")
_ENVS = flags.DEFINE_list("envs", _TASKS, "Tasks.")
_OUTPUT = flags.DEFINE_string("output", None, "CSV file.", required=True)
_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", 2_000_000, "Size of the data to make.", lower_bound=1
)
_ABLATIONS = flags.DEFINE_bool(
    "ablations", False, "Each combination of the heuristics (the paper's Table 5)."
)
flags.DEFINE_float("momentum", None, "mu, heuristic I.")
flags.DEFINE_integer("uniform_epochs", None, "N_p, heuristic II.")
flags.DEFINE_integer("biased_epochs", None, "N_b, heuristic III.")
flags.DEFINE_integer("em_epochs", None, "N_E.")
flags.DEFINE_integer("epoch_steps", None, "Updates an epoch; 0 is a pass.")
flags.DEFINE_float(
    "averaging_rate", None, "Of the policies that E-steps look at; 1 is no averaging."
)
flags.DEFINE_integer(
    "posterior_window", None, "Steps of each trajectory in an E-step; 0 is all."
)
flags.DEFINE_integer("window_start", None, "First E-step on steps in a row.")
flags.DEFINE_integer("window_stop", None, "First E-step after these.")
flags.DEFINE_float("log_std_min", None, "Lowest log-std of the policies.")
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 10, "Seeds a setting.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first seed.", lower_bound=0, upper_bound=2**31 - 1
)


def main(argv: list[str]) -> None:
    """Measures what is missing and prints the table."""
    cli.no_arguments(argv)
    settings = [cell for env in _ENVS.value for cell in cells(env, _ABLATIONS.value)]
    seeds = range(_SEED.value, _SEED.value + _NUM_SEEDS.value)
    rows = rand_index_table.measure(settings, seeds, pathlib.Path(_OUTPUT.value))
    print(rand_index_table.format_table(rows))


def cells(env: str, ablations: bool) -> list[Setting]:
    """A task's settings, and with ``ablations`` those without some heuristics."""
    whole = setting(env)
    if not ablations:
        return [whole]
    values = (sorted({0, getattr(whole, name)}) for name in _HEURISTICS)
    return [
        whole._replace(**dict(zip(_HEURISTICS, combination, strict=True)))
        for combination in itertools.product(*values)
    ]


def setting(env: str) -> Setting:
    """The flags, and for what they leave open the task's ``laptop`` settings."""
    task = tasks.get(env)
    laptop = configs.get_config("empo", task, "laptop")
    chosen: dict[str, Any] = dict(env=task.name, num_transitions=_TRANSITIONS.value)
    for name in Setting._fields[len(chosen) :]:
        asked = flags.FLAGS[name].value
        chosen[name] = getattr(laptop, name) if asked is None else asked
    return Setting(**chosen)


if __name__ == "__main__":
    cli.run(main)
