"""Makes, downloads and inspects datasets.

python -m experiments.dataset generate --env=maze2d-umaze-v1
python -m experiments.dataset inspect  --env=antmaze-umaze-v2 --output=facts.json
python -m experiments.dataset download --env=hopper-medium-v2
"""

from __future__ import annotations

import contextlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

from absl import flags

from experiments.lib import cli
from gem_jax import data, errors
from gem_jax.data import download, episodes, faults, inspection, tasks, validate

_ENV = flags.DEFINE_string(
    "env", None, "D4RL name of the task, or the file of one's own.", required=True
)
_SOURCE = flags.DEFINE_string(
    "source", "auto", "For inspect: auto, d4rl, minari, minari:ID, local or file:PATH."
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions", None, "Size; D4RL's (generate) or all (inspect) by default."
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of generated data.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Also write the result as JSON here; inspect puts a page of plots beside it.",
)


def main(argv: list[str]) -> None:
    """Runs the command that is the one positional argument."""
    commands = {"generate": _generate, "inspect": _inspect, "download": _download}
    if _OUTPUT.value and pathlib.Path(_OUTPUT.value).suffix == ".png":
        raise errors.UserError(
            f"--output={_OUTPUT.value} is for JSON, and the page of plots comes beside "
            "it as .png; choose another ending"
        )
    if len(argv) != 2 or argv[1] not in commands:
        raise errors.UserError(
            f"expected one command of {', '.join(commands)}; got {argv[1:]}"
        )
    facts = commands[argv[1]](tasks.get(_ENV.value))
    for key, value in facts.items():
        if key != "verdicts":
            print(f"{key:<24} {_format(value)}")
    for verdict in facts.get("verdicts", ()):
        print(faults.line(faults.Verdict(**verdict)))
    if _OUTPUT.value:
        with _writing_output() as path:
            path.write_text(json.dumps(facts, indent=2, allow_nan=False) + "\n")


def _generate(task: tasks.Task) -> Mapping[str, Any]:
    _, provenance = _read(task, "local")
    return provenance.to_dict()


def _inspect(task: tasks.Task) -> Mapping[str, Any]:
    recorded, provenance = _read(task, _SOURCE.value)
    recorded = [episode for episode in recorded if len(episode)]
    if not recorded:
        raise errors.UserError(f"{provenance.id} holds no transitions")
    validate.check_shapes(recorded, task, provenance.id)
    verdicts = faults.examine(recorded, task)
    facts = {**provenance.to_dict(), **inspection.describe(recorded, task)}
    if _OUTPUT.value:
        from experiments.dataset import page  # plots are slow to import

        with _writing_output() as path:
            page.save(path.with_suffix(".png"), recorded, task, facts, verdicts)
    return {**facts, "verdicts": [verdict._asdict() for verdict in verdicts]}


@contextlib.contextmanager
def _writing_output() -> Iterator[pathlib.Path]:
    path = pathlib.Path(_OUTPUT.value)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield path
    except OSError as error:
        raise errors.UserError(f"cannot write --output={path}: {error}") from None


def _download(task: tasks.Task) -> Mapping[str, Any]:
    path = download.fetch(task)
    return {"env": task.name, "path": str(path), "bytes": path.stat().st_size}


def _read(
    task: tasks.Task, source: str
) -> tuple[list[episodes.Episode], data.Provenance]:
    return data.read(
        task, source, seed=_SEED.value, num_transitions=_NUM_TRANSITIONS.value
    )


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={_format(item)}" for key, item in value.items())
    if isinstance(value, list):
        between = "\n    " if any(isinstance(item, Mapping) for item in value) else " "
        return between.join(map(_format, value))
    return str(value)


if __name__ == "__main__":
    cli.run(main, computes=False)
