"""How far a run is, told from its folder alone."""

from __future__ import annotations

import contextlib
import pathlib

from gem_jax import errors
from gem_jax.training import rundir
from gem_jax.utils import locks

_LONGEST = 400  # of what is said of a failure; a foreign library's may fill pages


def of(workdir: pathlib.Path) -> str:
    """Complete with its score, at some step, or not begun; and why it failed."""
    if (workdir / rundir.SUMMARY).exists():
        summary = rundir.read_summary(workdir)
        score = summary["normalized_score"] or summary.get("return_mean")
        found = f"{score['mean']:.1f} +- {score['std']:.1f}" if score else "no score"
        return f"complete, {found} over {len(summary['seeds'])} seed(s)"
    failure = workdir / rundir.FAILURE
    why = f"; failed: {failure.read_text().strip()}" if failure.exists() else ""
    return f"{_place(workdir)}{why}"


def _place(workdir: pathlib.Path) -> str:
    rows = rundir.read_lines(workdir / rundir.METRICS)
    if rows:
        return f"at step {rows[-1]['step']:,}, phase {rows[-1]['phase']}"
    return "begun" if (workdir / rundir.CONFIG).exists() else "not begun"


def said(error: Exception) -> str:
    """What a failure says, in a line, for the flags of this command."""
    return errors.one_line(error, _LONGEST).replace("--workdir", "--output")


def note_failure(workdir: pathlib.Path, error: Exception) -> None:
    """Keeps why the run failed, until it is trained again."""
    if isinstance(error, locks.Busy):  # the run that is under way has not
        return
    with contextlib.suppress(errors.UserError):  # the disk may be why
        rundir.write_text(workdir / rundir.FAILURE, f"{said(error)}\n")
