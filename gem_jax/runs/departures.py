"""Where a run's settings are not those of ``paper``."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from gem_jax import configs
from gem_jax.data import transforms
from gem_jax.data.options import TOLD_BY_REWARDS
from gem_jax.runs import presets
from gem_jax.runs.run_record import Run


def of(run: Run) -> dict[str, tuple[str, str]]:
    """By name of a setting its value and ``paper``'s, as text, where they differ.

    Both what a preset changes and what was asked for, of the algorithm and of its data.
    """
    paper = configs.get_config(run.algo, run.task, "paper")
    data = presets.data_options("paper", run.algo, paper, run.task)
    found = {}
    for own, other in ((run.config, paper), (run.data, data)):
        for field in dataclasses.fields(own):
            values = getattr(own, field.name), getattr(other, field.name)
            if values[0] != values[1]:
                found[field.name] = _text(values[0]), _text(values[1])
    if run.data.n_step == TOLD_BY_REWARDS:
        found["n_step"] = "as the rewards tell", found["n_step"][1]
    return found


def announce(run: Run, log: Callable[[str], None]) -> None:
    """One line that lists them, if there are any."""
    pairs = of(run).items()
    listed = "; ".join(
        f"{name}: {own} (paper: {other})" for name, (own, other) in pairs
    )
    if listed:
        log(f"differs from paper: {listed}")


def _text(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, transforms.RewardTransform):
        return f"{value.scale:g} r + {value.shift:g}"
    return str(value)
