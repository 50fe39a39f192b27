"""How far a run is, told from its folder alone."""

from __future__ import annotations

import pathlib

from gem_jax.training import rundir


def of(workdir: pathlib.Path) -> str:
    """Complete with its score, at some step, or not begun."""
    if (workdir / rundir.SUMMARY).exists():
        summary = rundir.read_json(workdir / rundir.SUMMARY)
        score = summary["normalized_score"] or summary.get("return_mean")
        found = f"{score['mean']:.1f} +- {score['std']:.1f}" if score else "no score"
        return f"complete, {found} over {len(summary['seeds'])} seed(s)"
    rows = rundir.read_lines(workdir / rundir.METRICS)
    if rows:
        return f"at step {rows[-1]['step']:,}, phase {rows[-1]['phase']}"
    return "begun" if (workdir / rundir.CONFIG).exists() else "not begun"
