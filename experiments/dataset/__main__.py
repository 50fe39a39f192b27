"""Makes, downloads, inspects and describes datasets.

python -m experiments.dataset generate --env=maze2d-umaze-v1
python -m experiments.dataset inspect  --env=antmaze-umaze-v2 --output=card.md
python -m experiments.dataset inspect  --source=file:log.csv --output=facts.json
python -m experiments.dataset download --env=hopper-medium-v2
python -m experiments.dataset download --source=minari:mujoco/hopper/medium-v0
python -m experiments.dataset describe --source=file:log.csv --output=my_task.toml
"""

from __future__ import annotations

import functools
import json
import pathlib
import sys
from collections.abc import Callable, Mapping
from typing import Any

from absl import flags

from experiments.dataset import card
from experiments.lib import cli
from gem_jax import data, errors
from gem_jax.data import (
    description,
    download,
    episodes,
    faults,
    inspection,
    minari_download,
    ports,
    task_text,
    tasks,
    validate,
)
from gem_jax.training import rundir

_ENV = flags.DEFINE_string(
    "env",
    None,
    "Task: a name of D4RL's or OGBench's, the file of one's own, or minari:ID; not "
    "needed with --source=file:PATH or minari:ID, whose task is told from the data.",
)
_SOURCE = flags.DEFINE_string(
    "source",
    "auto",
    "For inspect: auto, d4rl, ogbench, minari, minari:ID, local or file:PATH; for "
    "describe: minari:ID or file:PATH; for download: auto (the original), d4rl, "
    "ogbench, minari or minari:ID.",
)
_NUM_TRANSITIONS = flags.DEFINE_integer(
    "num_transitions",
    None,
    "Size; the original's (generate) or all (inspect, describe) by default.",
    lower_bound=1,
)
_SEED = flags.DEFINE_integer("seed", 0, "Seed of generated data.")
_OUTPUT = flags.DEFINE_string(
    "output",
    None,
    "Also write the result here: JSON; of inspect a data card if the name ends in .md, "
    "and a page of plots beside it; of describe the task file.",
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Whether describe may replace a file that is there."
)
_NAME = flags.DEFINE_string(
    "name", None, "For describe: of the task; by default made of the source's."
)
_ENV_ID = flags.DEFINE_string(
    "env_id",
    None,
    "For describe: gymnasium id to evaluate in, or none to train only; by default what "
    "the data name, where that is known.",
)
_BOUNDS = flags.DEFINE_enum(
    "bounds",
    "file",
    ["file", "data"],
    "For describe: bounds of actions from the space beside the data, where there is "
    "one, or always from the extremes of the data.",
)
_MIXTURE_STEPS = flags.DEFINE_integer(
    "mixture_steps",
    2_000,
    "For a data card: updates of each mixture that tells the modes; 0 for none.",
    lower_bound=0,
)
_DOWNLOADED = ("auto", "d4rl", "ogbench", "minari")  # sources of download


def main(argv: list[str]) -> None:
    """Runs the command that is the one positional argument."""
    if _OUTPUT.value and pathlib.Path(_OUTPUT.value).suffix == ".png":
        raise errors.UserError(
            f"--output={_OUTPUT.value} is for JSON or a card, and the page of plots "
            "comes beside it as .png; choose another ending"
        )
    if len(argv) != 2 or argv[1] not in _COMMANDS:
        raise errors.UserError(
            f"expected one command of {', '.join(_COMMANDS)}; got {argv[1:]}"
        )
    _refuse_others(argv[1])
    run, _ = _COMMANDS[argv[1]]
    run()


def _refuse_others(command: str) -> None:
    """Refuses flags that other commands take."""
    _, takes = _COMMANDS[command]
    others = {name for _, names in _COMMANDS.values() for name in names}
    others -= set(takes)
    for name in sorted(others):
        if flags.FLAGS[name].present:
            raise errors.UserError(
                f"{command} takes no --{name}, only --{', --'.join(takes)}; drop it"
            )


def _generate() -> None:
    _, provenance = _read(_task(), "local")
    _print(provenance.to_dict())
    _write_json(provenance.to_dict())


def _download() -> None:
    kind, _, dataset_id = _SOURCE.value.partition(":")
    if kind not in _DOWNLOADED or (dataset_id and kind != "minari"):
        raise errors.UserError(
            f"--source={_SOURCE.value} is not downloaded; choose "
            f"{', '.join(_DOWNLOADED)} or minari:ID"
        )
    if kind == "minari":
        path = minari_download.fetch(dataset_id or ports.published_id(_task()))
    else:
        path = download.fetch(_task(), None if kind == "auto" else kind)
    facts = {
        "env": _ENV.value,
        "source": _SOURCE.value,
        "path": str(path),
        "bytes": path.stat().st_size,
    }
    _print(facts)
    _write_json(facts)


def _inspect() -> None:
    path = _output(_OUTPUT.value) if _OUTPUT.value else None
    if path:
        _refuse_foreign(path.with_suffix(".png"))
    task, recorded, provenance = _anything()
    recorded = [episode for episode in recorded if len(episode)]
    if not recorded:
        raise errors.UserError(f"{provenance.id} holds no transitions")
    validate.check_shapes(recorded, task, provenance.id)
    verdicts = faults.examine(recorded, task)
    facts = {**provenance.to_dict(), **inspection.describe(recorded, task)}
    _print(facts)
    for verdict in verdicts:
        print(faults.line(verdict))
    if path is None:
        return
    from experiments.dataset import page  # plots are slow to import

    picture = path.with_suffix(".png")
    gap = None
    if path.suffix == ".md":
        gap = card.measure_gap(recorded, _MIXTURE_STEPS.value)
    try:
        page.save(picture, recorded, task, facts, verdicts)
    except OSError as error:
        raise errors.UserError(f"cannot write --output={path}: {error}") from None
    if path.suffix == ".md":
        rundir.write_text(path, card.text(facts, verdicts, gap, picture.name))
    else:
        _write_json({**facts, "verdicts": [verdict._asdict() for verdict in verdicts]})


def _refuse_foreign(picture: pathlib.Path) -> None:
    """Refuses to replace a picture that did not come with a page of its name."""
    pages = (picture.with_suffix(end) for end in (".json", ".md"))
    if picture.exists() and not any(page.exists() for page in pages):
        raise errors.UserError(
            f"--output comes with {picture}, which is there already without a page of "
            "its name; remove it or name another"
        )


def _describe() -> None:
    path = _output(_OUTPUT.value) if _OUTPUT.value else None
    if path and path.exists() and not _OVERWRITE.value:
        raise errors.UserError(
            f"--output={path} is there already; name another, or give --overwrite"
        )
    told, _, provenance = description.of_source(
        _SOURCE.value,
        name=_NAME.value,
        env_id=_ENV_ID.value,
        bounds=_BOUNDS.value,
        num_transitions=_NUM_TRANSITIONS.value,
        log=functools.partial(print, file=sys.stderr),  # stdout is the file's
    )
    text = task_text.to_toml(told, provenance)
    if path is None:
        print(text, end="")
    else:
        rundir.write_text(path, text)
        print(f"wrote {path}; check it, then train on --env={path}")


def _task() -> tasks.Task:
    if _ENV.value is None:
        raise errors.UserError(
            "--env is missing; name a task, or inspect --source=file:PATH or minari:ID"
        )
    return tasks.get(_ENV.value)


def _anything() -> tuple[tasks.Task, list[episodes.Episode], data.Provenance]:
    """A task and what its source holds; without a name of a task one that is told."""
    kind, _, detail = _SOURCE.value.partition(":")
    if _ENV.value is None and kind in ("file", "minari") and detail:
        told, recorded, provenance = description.of_source(
            _SOURCE.value,
            env_id="none",
            bounds="data",
            num_transitions=_NUM_TRANSITIONS.value,
        )
        return description.to_task(told), recorded, provenance
    task = _task()
    return task, *_read(task, _SOURCE.value)


def _read(
    task: tasks.Task, source: str
) -> tuple[list[episodes.Episode], data.Provenance]:
    return data.read(
        task, source, seed=_SEED.value, num_transitions=_NUM_TRANSITIONS.value
    )


def _output(flag: str) -> pathlib.Path:
    path = pathlib.Path(flag)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise errors.UserError(f"cannot write --output={path}: {error}") from None
    return path


def _write_json(facts: Mapping[str, Any]) -> None:
    if _OUTPUT.value:
        text = json.dumps(facts, indent=2, allow_nan=False) + "\n"
        rundir.write_text(_output(_OUTPUT.value), text)


def _print(facts: Mapping[str, Any]) -> None:
    for key, value in facts.items():
        print(f"{key:<24} {_format(value)}")


def _format(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    if isinstance(value, Mapping):
        return "  ".join(f"{key}={_format(item)}" for key, item in value.items())
    if isinstance(value, list):
        between = "\n    " if any(isinstance(item, Mapping) for item in value) else " "
        return between.join(map(_format, value))
    return str(value)


# What does each, and the flags that it takes; others are refused, since it would pass
# over them.
_COMMANDS: Mapping[str, tuple[Callable[[], None], tuple[str, ...]]] = {
    "generate": (_generate, ("env", "num_transitions", "seed", "output")),
    "inspect": (
        _inspect,
        ("env", "source", "num_transitions", "seed", "output", "mixture_steps"),
    ),
    "download": (_download, ("env", "source", "output")),
    "describe": (
        _describe,
        (
            *("source", "num_transitions", "output", "overwrite", "name", "env_id"),
            "bounds",
        ),
    ),
}


if __name__ == "__main__":
    cli.run(main, computes=False)
