"""Trains and evaluates one algorithm on one task.

python -m experiments.train --env=antmaze-umaze-v2
python -m experiments.train --env=my_task.toml --source=file:log.hdf5

Every setting of the algorithm is a flag too, --config.FIELD=VALUE; its Config in
gem_jax/algorithms lists them, and an unknown one is answered with the list.
"""

from __future__ import annotations

import dataclasses
import re
import shlex
import sys
from typing import Any

from absl import flags
from ml_collections import config_dict, config_flags

from experiments.lib import cli
from gem_jax import errors
from gem_jax.data import transforms
from gem_jax.runs import presets, resolve, run_record, runner

_ENV = flags.DEFINE_string(
    "env",
    None,
    "Task: a name of D4RL's or OGBench's, the file of one's own, or minari:ID, whose "
    "task is told from the data.",
    required=True,
)
_ALGO = flags.DEFINE_string("algo", "gem", "Algorithm.")
_SOURCE = flags.DEFINE_string(
    "source", "auto", "auto, d4rl, ogbench, minari, minari:ID, local or file:PATH."
)
_PRESET = flags.DEFINE_string(
    "preset", None, "paper, best, laptop or smoke; by default chosen by the device."
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
_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", None, "Size of local data, or the leading transitions."
)
_BEST_SHARE = flags.DEFINE_float(
    "best_share", None, "Of the episodes, those with the highest returns; 0.1 is 10%BC."
)
_N_STEP = flags.DEFINE_integer("n_step", None, "Steps that a target spans; 0: as told.")
_REPAIR = flags.DEFINE_list(
    "repair",
    None,
    "What to mend in the data, as until_terminal:200; by default nothing.",
)
_ONLINE_STEPS = flags.DEFINE_integer(
    "online_steps",
    0,
    "Environment steps, and as many updates, after the data.",
    lower_bound=0,
)
_ONLINE_SHARE = flags.DEFINE_float(
    "online_share", 0.5, "Of their batches, what was collected in the environment."
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
_RESUME = flags.DEFINE_enum("resume", "auto", run_record.RESUME, "Continue?")


def parse(argv: list[str]) -> list[str]:
    """Parses twice: the first pass tells which algorithm's settings become flags."""
    return cli.parse_twice(argv, _define_config)


def _define_config(argv: list[str]) -> None:
    preset, _ = _preset()
    default = resolve.default_config(_ENV.value, _ALGO.value, preset)
    _check_fields(argv, default)
    config = config_dict.ConfigDict(dataclasses.asdict(default))
    config_flags.DEFINE_config_dict("config", config)


def main(argv: list[str]) -> None:
    """Resolves the flags and hands over to the runner."""
    cli.no_arguments(argv)
    if flags.FLAGS["online_share"].present and not _ONLINE_STEPS.value:
        raise errors.UserError(
            "--online_share has no effect without --online_steps; give both or neither"
        )
    preset, reason = _preset()
    print(f"preset {preset}: {reason}", flush=True)
    run = resolve.resolve(
        _ENV.value,
        _ALGO.value,
        preset,
        source=_SOURCE.value,
        seeds=range(_SEED.value, _SEED.value + _NUM_SEEDS.value),
        workdir=cli.folder("workdir", _WORKDIR.value),
        config=_config(),
        data=_data_options(),
        command=shlex.join(["python", "-m", "experiments.train", *sys.argv[1:]]),
        online_steps=_ONLINE_STEPS.value,
        online_share=_ONLINE_SHARE.value,
    )
    runner.train(run, resume=_RESUME.value)


def _preset() -> tuple[str, str]:
    if _PRESET.value is None:
        return presets.default_preset()
    return _PRESET.value, "as asked"


def _data_options() -> dict[str, Any]:
    """What the flags ask for; ``None`` where they say nothing."""
    repair = _REPAIR.value
    return {
        "num_transitions": _TRANSITIONS.value,
        "repair": () if repair == ["none"] else repair and tuple(repair),
        "reward_transform": _reward_transform(),
        "best_share": _BEST_SHARE.value,
        "n_step": _N_STEP.value,
    }


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


def _config() -> dict[str, Any]:
    values = flags.FLAGS.config.to_dict()
    return values if _STEPS.value is None else values | {"num_steps": _STEPS.value}


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
