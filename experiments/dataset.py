"""Makes, downloads and inspects datasets.

python -m experiments.dataset generate --env=maze2d-umaze-v1
python -m experiments.dataset inspect  --env=antmaze-umaze-v2 --output=facts.json
python -m experiments.dataset download --env=hopper-medium-v2
"""

from __future__ import annotations

import json
import pathlib
from collections.abc import Mapping
from typing import Any

from absl import flags

from experiments import cli
from gem_jax import data, errors
from gem_jax.data import download, episodes, inspection, tasks

_ENV = flags.DEFINE_string("env", None, "D4RL name of the task.", required=True)
_SOURCE = flags.DEFINE_string(
    "source", "auto", "For inspect: auto, d4rl, minari, minari:ID, local or file:PATH."
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", None, "Size; a million (generate) or all (inspect) by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of generated data.")
_OUTPUT = flags.DEFINE_string("output", None, "Also write the result as JSON here.")


def main(argv: list[str]) -> None:
    """Runs the command that is the one positional argument."""
    commands = {"generate": _generate, "inspect": _inspect, "download": _download}
    if len(argv) != 2 or argv[1] not in commands:
        raise errors.UserError(
            f"expected one command of {', '.join(commands)}; got {argv[1:]}"
        )
    facts = commands[argv[1]](tasks.get(_ENV.value))
    for key, value in facts.items():
        print(f"{key:<24} {_format(value)}")
    if _OUTPUT.value:
        path = pathlib.Path(_OUTPUT.value)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(json.dumps(facts, indent=2) + "\n")
        except OSError as error:
            raise errors.UserError(f"cannot write --output={path}: {error}") from None


def _generate(task: tasks.Task) -> Mapping[str, Any]:
    _, provenance = _read(task, "local")
    return provenance.to_dict()


def _inspect(task: tasks.Task) -> Mapping[str, Any]:
    found, provenance = _read(task, _SOURCE.value)
    return {**provenance.to_dict(), **inspection.describe(found, task)}


def _download(task: tasks.Task) -> Mapping[str, Any]:
    path = download.fetch(task)
    return {"env": task.name, "path": str(path), "bytes": path.stat().st_size}


def _read(
    task: tasks.Task, source: str
) -> tuple[list[episodes.Episode], data.Provenance]:
    return data.read(
        task.name, source, seed=_SEED.value, num_transitions=_NUM_TRANSITIONS.value
    )


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={_format(item)}" for key, item in value.items())
    if isinstance(value, list):
        return " ".join(map(_format, value))
    return str(value)


if __name__ == "__main__":
    cli.run(main)
