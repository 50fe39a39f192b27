"""Trains and evaluates one algorithm on one task.

python -m experiments.train --env=antmaze-umaze-v2

Every setting of the algorithm is a flag too, --config.FIELD=VALUE; they are listed in
gem_jax/algorithms/ALGO.py, and an unknown one is answered with the list.
"""

from __future__ import annotations

import dataclasses
import pathlib
import re
import shlex
import sys
from typing import Any

from absl import flags
from ml_collections import config_dict, config_flags

from experiments import cli, configs, presets, run_record, runner
from gem_jax import algorithms, errors
from gem_jax.data import repairs, tasks, transforms

_ENV = flags.DEFINE_string("env", None, "D4RL name of the task.", required=True)
_ALGO = flags.DEFINE_string("algo", "gem", "Algorithm.")
_SOURCE = flags.DEFINE_string(
    "source", "auto", "auto, d4rl, minari, minari:ID, local or file:PATH."
)
_PRESET = flags.DEFINE_string(
    "preset", None, "paper, laptop or smoke; by default chosen by the device."
)
_STEPS = flags.DEFINE_integer(
    "steps", None, "Updates of the last phase.", lower_bound=1
)
_NUM_SEEDS = flags.DEFINE_integer(
    "num_seeds", 1, "Seeds trained side by side.", lower_bound=1
)
_SEED = flags.DEFINE_integer(
    "seed", 0, "The first seed.", lower_bound=0, upper_bound=2**31 - 1
)
_REPAIR = flags.DEFINE_list(
    "repair",
    None,
    "What to mend in the data, as until_terminal:200; by default nothing.",
)
_TRANSFORM = flags.DEFINE_enum(
    "reward_transform",
    None,
    transforms.NAMES,
    "What training sees of the rewards; by default the task's choice.",
)
_SCALE = flags.DEFINE_float(
    "reward_scale", None, "Instead: train on reward_scale * reward + reward_shift."
)
_SHIFT = flags.DEFINE_float("reward_shift", None, "See --reward_scale.")
_WORKDIR = flags.DEFINE_string("workdir", None, "Default: runs/ENV/ALGO/seedS.")
_RESUME = flags.DEFINE_enum("resume", "auto", ["auto", "never", "must"], "Continue?")


def parse(argv: list[str]) -> list[str]:
    """Parses twice: the first pass tells which algorithm's settings become flags."""
    return cli.parse_twice(argv, _define_config)


def _define_config(argv: list[str]) -> None:
    preset, _ = _preset()
    default = configs.get_config(_ALGO.value, tasks.get(_ENV.value), preset)
    _check_fields(argv, default)
    config = config_dict.ConfigDict(dataclasses.asdict(default))
    config_flags.DEFINE_config_dict("config", config)


def main(argv: list[str]) -> None:
    """Resolves the flags and hands over to the runner."""
    cli.no_arguments(argv)
    preset, reason = _preset()
    print(f"preset {preset}: {reason}", flush=True)
    task = tasks.get(_ENV.value)
    config = _config()
    workdir = _WORKDIR.value or f"runs/{task.name}/{_ALGO.value}/seed{_SEED.value}"
    run = run_record.Run(
        task=task,
        algo=_ALGO.value,
        config=config,
        source=_SOURCE.value,
        preset=preset,
        cadence=presets.cadence(preset, task, config.num_steps),
        data=_data_options(preset),
        seeds=tuple(range(_SEED.value, _SEED.value + _NUM_SEEDS.value)),
        workdir=pathlib.Path(workdir).resolve(),
        command=shlex.join(["python", "-m", "experiments.train", *sys.argv[1:]]),
    )
    runner.train(run, resume=_RESUME.value)


def _preset() -> tuple[str, str]:
    if _PRESET.value is None:
        return presets.default_preset()
    if _PRESET.value not in presets.PRESETS:
        known = ", ".join(presets.PRESETS)
        raise errors.UserError(f"unknown --preset={_PRESET.value!r}; one of {known}")
    return _PRESET.value, "as asked"


def _data_options(preset: str) -> presets.DataOptions:
    options = presets.data_options(preset)
    if _REPAIR.value is not None:
        names = () if _REPAIR.value == ["none"] else tuple(_REPAIR.value)
        repairs.check_names(names)
        options = dataclasses.replace(options, repair=names)
    return dataclasses.replace(options, reward_transform=_reward_transform())


def _reward_transform() -> str | transforms.RewardTransform | None:
    if _SCALE.value is None and _SHIFT.value is None:
        return _TRANSFORM.value
    if _TRANSFORM.value is not None:
        raise errors.UserError(
            f"--reward_transform={_TRANSFORM.value} says scale and shift already; drop "
            "it, or --reward_scale and --reward_shift"
        )
    scale = 1.0 if _SCALE.value is None else _SCALE.value
    return transforms.given(scale, _SHIFT.value or 0.0)


def _config() -> Any:
    values = flags.FLAGS.config.to_dict()
    if _STEPS.value is not None:
        values["num_steps"] = _STEPS.value
    try:
        return algorithms.config_class(_ALGO.value)(**values)
    except ValueError as error:
        raise errors.UserError(f"--config: {error}") from None


def _check_fields(argv: list[str], default: Any) -> None:
    known = [field.name for field in dataclasses.fields(default)]
    for argument in argv[1:]:
        match = re.match(r"--?(?:no)?config\.([^=]+)", argument)
        if match and match[1] not in known:
            raise errors.UserError(
                f"unknown field --config.{match[1]}; {_ALGO.value} has "
                f"{', '.join(known)}"
            )


if __name__ == "__main__":
    cli.run(main, parse)
