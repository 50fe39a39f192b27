"""A written plan: which tasks and seeds, one baseline, and ideas as named changes."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import pathlib
import tomllib
from collections.abc import Mapping, Sequence
from typing import Any

from gem_jax import errors
from gem_jax.data import tasks

_CHANGES = ("config", "data", "knobs")


@dataclasses.dataclass(frozen=True)
class Changes:
    """What differs from the preset.

    Attributes:
      config: fields of the algorithm's ``Config``.
      data: fields of ``DataOptions``.
      knobs: of acting, which need no training.
    """

    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    data: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    knobs: Mapping[str, Any] = dataclasses.field(default_factory=dict)

    def __or__(self, other: Changes) -> Changes:
        return Changes(
            *({**getattr(self, kind), **getattr(other, kind)} for kind in _CHANGES)
        )


@dataclasses.dataclass(frozen=True)
class Plan:
    """Attributes:
    tasks: name to source.
    seeds: trained side by side.
    episodes: of each seed and variant.
    algo: registered name.
    preset: what the changes start from.
    baseline: what every variant has.
    ideas: by name, each tried alone, with all others, and left out of all.
    """

    tasks: Mapping[str, str]
    seeds: tuple[int, ...]
    episodes: int = 50
    algo: str = "gem"
    preset: str = "laptop"
    baseline: Changes = Changes()
    ideas: Mapping[str, Changes] = dataclasses.field(default_factory=dict)

    def variants(self) -> dict[str, Changes]:
        """The baseline, each idea alone, all together, and all without each."""
        variants = {"baseline": self.baseline}
        for name, idea in self.ideas.items():
            variants[f"+ {name}"] = self.baseline | idea
        if len(self.ideas) > 1:
            variants["all"] = self._joined(self.ideas)
        if len(self.ideas) > 2:
            for name in self.ideas:
                others = [other for other in self.ideas if other != name]
                variants[f"all - {name}"] = self._joined(others)
        return variants

    def _joined(self, names: Sequence[str] | Mapping[str, Any]) -> Changes:
        joined = self.baseline
        for name in names:
            joined = joined | self.ideas[name]
        return joined


def read(path: pathlib.Path) -> Plan:
    """Reads a plan in TOML.

    ``[tasks]`` has a source by name; ``[baseline.config]``, ``[ideas.NAME.knobs]`` and
    the like are tables of fields.

    Raises:
      UserError: the file cannot be read, or says something that is no plan; names it.
    """
    try:
        content = tomllib.loads(path.read_text())
    except OSError as error:
        raise errors.UserError(f"cannot read --plan={path}: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise errors.UserError(f"--plan={path} is no TOML file: {error}") from None
    where = str(path)
    known = [field.name for field in dataclasses.fields(Plan)]
    _require_known(content, known, where)
    for name in ("tasks", "seeds"):
        if not content.get(name):
            raise errors.UserError(f"{path}: a plan needs {name}")
    _require_kinds(content, where)
    for name in content["tasks"]:
        tasks.get(name)
    seeds = content["seeds"]
    if len(set(seeds)) < len(seeds):
        raise errors.UserError(f"{path}: seeds = {seeds} names a seed twice")
    content["seeds"] = tuple(seeds)
    content["baseline"] = _changes(content.get("baseline", {}), f"{path}: baseline")
    content["ideas"] = {
        name: _changes(idea, f"{path}: ideas.{name}")
        for name, idea in content.get("ideas", {}).items()
    }
    return Plan(**content)


def _require_kinds(content: Mapping[str, Any], where: str) -> None:
    """Refuses values that cannot be what their fields are."""

    def whole(value: Any, least: int) -> bool:
        return type(value) is int and value >= least

    def table_of(kind: type, value: Any) -> bool:
        return isinstance(value, dict) and all(
            isinstance(one, kind) for one in value.values()
        )

    fits = {
        "tasks": lambda value: table_of(str, value),
        "seeds": lambda value: (
            isinstance(value, list) and all(whole(one, 0) for one in value)
        ),
        "episodes": lambda value: whole(value, 1),
        "algo": lambda value: isinstance(value, str),
        "preset": lambda value: isinstance(value, str),
        "baseline": lambda value: table_of(dict, value),
        "ideas": lambda value: table_of(dict, value),
    }
    meant = {
        "tasks": "a table of sources by task",
        "seeds": "a list of whole numbers",
        "episodes": "a whole number above 0",
        "baseline": "a table of tables",
        "ideas": "a table of tables",
    }
    for name, value in content.items():
        if not fits[name](value):
            raise errors.UserError(
                f"{where}: {name} = {value!r} must be {meant.get(name, 'a name')}"
            )


def _changes(content: Mapping[str, Any], where: str) -> Changes:
    _require_known(content, _CHANGES, where)
    for name, value in content.items():
        if not isinstance(value, dict):
            raise errors.UserError(f"{where}.{name} = {value!r} must be a table")
    return Changes(**content)


def _require_known(
    content: Mapping[str, Any], known: Sequence[str], where: str
) -> None:
    for name in content:
        if name not in known:
            raise errors.UserError(
                f"{where} has no field {name}; there are {', '.join(known)}"
            )


def training_name(changes: Changes) -> str:
    """Names what is trained, by its content."""
    content = json.dumps([changes.config, changes.data], sort_keys=True, default=str)
    return hashlib.sha256(content.encode()).hexdigest()[:12]
