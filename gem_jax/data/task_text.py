"""Writes a description as the text of a task file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from gem_jax.data.description import Description
from gem_jax.data.sources import Provenance


def to_toml(described: Description, provenance: Provenance) -> str:
    """The task file, with comments on what was told and how; TOML.

    Args:
      described: the fields.
      provenance: of the data that they were told from.
    """
    return "\n".join(_lines(described, provenance)) + "\n"


def _lines(described: Description, provenance: Provenance) -> Iterator[str]:
    yield (
        f"# Told from {provenance.num_transitions:,} transitions in "
        f"{provenance.num_episodes:,} episodes, sha256 {provenance.sha256[:16]}."
    )
    yield "# Check every line; python -m experiments.dataset describe wrote it."
    yield _line("name", described.name)
    yield _comment(f"env_id: {described.notes['env_id']}")
    if described.env_id is not None:
        yield _line("env_id", described.env_id)
        if described.env_kwargs:
            given = [_line(_written(k), v) for k, v in described.env_kwargs.items()]
            yield f"env_kwargs = {{ {', '.join(given)} }}"
    yield _line("observation_size", described.observation_size)
    yield _line("action_size", described.action_size)
    yield _comment(f"bounds: {described.notes['action_low']}")
    yield _line("action_low", list(described.action_low))
    yield _line("action_high", list(described.action_high))
    yield _comment(f"horizon: {described.notes['horizon']}")
    yield _line("horizon", described.horizon)
    yield _line("source", described.source)
    yield _line("reward_transform", "identity")
    if described.min_score is None:
        yield _comment(
            "min_score, max_score: returns that count as 0 and 100, if known"
        )
    else:
        yield _line("min_score", described.min_score)
        yield _line("max_score", described.max_score)


def _line(name: str, value: Any) -> str:
    return f"{name} = {_written(value)}"


def _written(value: Any) -> str:
    # Numbers, lists and strings are written alike in JSON, but for one character.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _comment(text: str) -> str:
    return "# " + json.dumps(text, ensure_ascii=True)[1:-1].replace('\\"', '"')
