"""The knobs of a trained run's algorithm as flags of a command."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Callable, Sequence
from typing import Any

from absl import flags

from experiments.lib import cli
from gem_jax import errors, run_settings
from gem_jax.training import rundir

_DEFINE: dict[type, Callable[..., Any]] = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
}
_WANTED = {int: "whole numbers", float: "numbers", bool: "true and false"}


def parse(argv: list[str], workdir: flags.FlagHolder[str | None]) -> list[str]:
    """Parses twice: the run folder that a flag names tells which knobs become flags."""
    return cli.parse_twice(argv, lambda _: define(of_run(workdir.value)))


def of_run(workdir: str | None) -> Any:
    """The knobs of a run folder, read from its settings alone.

    Raises:
      UserError: there is no such run.
    """
    folder = pathlib.Path(os.path.expanduser(workdir or ""))
    record = rundir.require_format(rundir.read_json(folder / rundir.CONFIG))
    algorithm, _ = run_settings.rebuild(record)
    return algorithm.knobs


def names(knobs: Any) -> tuple[str, ...]:
    """Those by which one choice differs from another; none of ``()``."""
    return tuple(f.name for f in _fields(knobs) if _changes_choice(f))


def define(knobs: Any) -> None:
    """A flag for each knob, without a default."""
    for field in _fields(knobs):
        _define_one(knobs, field)


def define_lists(knobs: Any) -> None:
    """A flag with a list for each knob that changes choices, a plain one for others."""
    for field in _fields(knobs):
        if _changes_choice(field):
            flags.DEFINE_list(field.name, None, f"Values; {_help(knobs)}")
        else:
            _define_one(knobs, field)


def given(knobs: Any) -> dict[str, Any]:
    """The knobs given on the command line, after ``define``."""
    values = {field.name: flags.FLAGS[field.name].value for field in _fields(knobs)}
    return {name: value for name, value in values.items() if value is not None}


def given_plain(knobs: Any) -> dict[str, Any]:
    """Those of ``given`` that ``define_lists`` made no list of."""
    plain = {f.name for f in _fields(knobs) if not _changes_choice(f)}
    return {name: value for name, value in given(knobs).items() if name in plain}


def given_lists(knobs: Any) -> dict[str, list[Any]]:
    """The lists on the command line, after ``define_lists``, as the knobs' types.

    Raises:
      UserError: a value has another type.
    """
    return {
        field.name: _converted(field.name, _type(field), texts)
        for field in _fields(knobs)
        if _changes_choice(field)
        and (texts := flags.FLAGS[field.name].value) is not None
    }


def _fields(knobs: Any) -> Sequence[dataclasses.Field[Any]]:
    return dataclasses.fields(knobs) if dataclasses.is_dataclass(knobs) else ()


def _changes_choice(field: dataclasses.Field[Any]) -> bool:
    return field.metadata.get("changes_choice", True)


def _define_one(knobs: Any, field: dataclasses.Field[Any]) -> None:
    _DEFINE[_type(field)](field.name, None, _help(knobs))


def _help(knobs: Any) -> str:
    return f"See {type(knobs).__module__}.{type(knobs).__qualname__}."


def _type(field: dataclasses.Field[Any]) -> type:
    return type(field.default)


def _converted(name: str, kind: type, texts: Sequence[str]) -> list[Any]:
    if not texts or not all(texts):
        raise errors.UserError(f"--{name} names no value; write --{name}=A,B")
    convert = _truth if kind is bool else kind
    try:
        return [convert(text) for text in texts]
    except ValueError:
        raise errors.UserError(
            f"--{name} takes {_WANTED[kind]} with commas between, got {','.join(texts)}"
        ) from None


def _truth(text: str) -> bool:
    if text.lower() not in ("true", "false"):
        raise ValueError(text)
    return text.lower() == "true"
