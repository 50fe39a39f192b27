"""Prints the final scores of finished runs as a Markdown table.

python -m experiments.table --workdir=runs/maze2d-umaze-v1/gem/seed1,runs/...

A row a task and data source, a column an algorithm: mean and standard deviation
(ddof = 1) over seeds; GEM at N = 0 too, once ``experiments.sweep --num_candidates=0``
has measured it. What papers list stands to the right: other data, other updates.
"""

from __future__ import annotations

from absl import flags

from experiments.lib import cli
from experiments.table import published
from experiments.table import scores as score_table

_WORKDIR = flags.DEFINE_list("workdir", None, "Finished run folders.")


def main(argv: list[str]) -> None:
    """Reads every ``summary.json`` and prints the table."""
    cli.no_arguments(argv)
    folders = cli.folders(_WORKDIR.value)
    print(
        score_table.format_table(
            score_table.read_summaries(folders),
            published.everything(),
        )
    )


if __name__ == "__main__":
    cli.run(main, computes=False)
