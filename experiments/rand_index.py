"""How well trajectories are told apart, with and without EMPO's three heuristics.

    python -m experiments.rand_index --output=rand_index.csv
    python -m experiments.rand_index --envs=walker2d-medium-expert-v2 --ablations \
      --num_seeds=3 --output=rand_index.csv

Clusters local data, whose policies are known. The defaults are the clusterer's part of
EMPO's ``laptop`` settings: EM epochs of a hundred updates, and E-steps on a moving
window. Without momentum (mu = 0) such an E-step sees that window alone.
``--em_epochs=100 --epoch_steps=0 --posterior_window=0 --log_std_min=-5`` is the paper's
form. What the file holds already is not measured again, so the same command continues.
"""

from __future__ import annotations

import itertools
import pathlib

from absl import flags

from experiments import cli, configs, rand_index_table
from gem_jax.data import tasks

_TASKS = [
    f"{robot}-medium-expert-v2" for robot in ("halfcheetah", "hopper", "walker2d")
]
_LAPTOP = configs.get_config("empo", tasks.get(_TASKS[0]), "laptop")
_ENVS = flags.DEFINE_list("envs", _TASKS, "Tasks.")
_OUTPUT = flags.DEFINE_string("output", None, "CSV file.", required=True)
_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", 2_000_000, "Size of the data to make.", lower_bound=1
)
_ABLATIONS = flags.DEFINE_bool(
    "ablations", False, "Each combination of the heuristics (the paper's Table 5)."
)
_MOMENTUM = flags.DEFINE_float(
    "momentum", _LAPTOP.momentum, "mu, heuristic I.", lower_bound=0.0
)
_UNIFORM = flags.DEFINE_integer(
    "uniform_epochs", _LAPTOP.uniform_epochs, "N_p, heuristic II.", lower_bound=0
)
_BIASED = flags.DEFINE_integer(
    "biased_epochs", _LAPTOP.biased_epochs, "N_b, heuristic III.", lower_bound=0
)
_EM = flags.DEFINE_integer("em_epochs", _LAPTOP.em_epochs, "N_E.", lower_bound=0)
_STEPS = flags.DEFINE_integer(
    "epoch_steps",
    _LAPTOP.epoch_steps,
    "Updates an epoch; 0 is a pass over the data.",
    lower_bound=0,
)
_WINDOW = flags.DEFINE_integer(
    "posterior_window",
    _LAPTOP.posterior_window,
    "Steps of each trajectory that an E-step looks at; 0 is all.",
    lower_bound=0,
)
_LOG_STD_MIN = flags.DEFINE_float(
    "log_std_min", _LAPTOP.log_std_min, "Lowest log-scale of the policies."
)
_NUM_SEEDS = flags.DEFINE_integer("num_seeds", 10, "Seeds a setting.", lower_bound=1)
_SEED = flags.DEFINE_integer("seed", 0, "The first seed.", lower_bound=0)


def main(argv: list[str]) -> None:
    """Measures what is missing and prints the table."""
    cli.no_arguments(argv)
    whole = (_MOMENTUM.value, _UNIFORM.value, _BIASED.value)
    grid = [whole]
    if _ABLATIONS.value:
        grid = list(itertools.product(*(sorted({0, value}) for value in whole)))
    settings = [
        rand_index_table.Setting(
            *(env, _TRANSITIONS.value, *heuristics, _EM.value, _STEPS.value),
            *(_WINDOW.value, _LOG_STD_MIN.value),
        )
        for env in (tasks.get(name).name for name in _ENVS.value)
        for heuristics in grid
    ]
    seeds = range(_SEED.value, _SEED.value + _NUM_SEEDS.value)
    rows = rand_index_table.measure(settings, seeds, pathlib.Path(_OUTPUT.value))
    print(rand_index_table.format_table(rows))


if __name__ == "__main__":
    cli.run(main)
