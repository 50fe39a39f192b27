"""Draws what GEM, BC, IQL and the methods of samples do on a bandit of eight modes.

python -m experiments.gallery --output=gallery

Actions have two dimensions; one of eight modes is rewarded. In the picture's third row
one corrupted critic judges the samples of every method, alone (red) and with the
behavior's density beside it (green). ``OUTPUT.csv`` tells how many actions lie at the
rewarded mode, at the rarest and the most frequent one, and at none. EMPO is not among
the methods: its clusters are of trajectories, and here an episode has one step.
"""

from __future__ import annotations

import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import numpy as np
from absl import flags

from experiments.gallery import bandit, methods
from experiments.lib import cli, csv_rows, markdown
from gem_jax import errors
from gem_jax.utils import progress

_OUTPUT = flags.DEFINE_string("output", "gallery", "Of OUTPUT.png and OUTPUT.csv.")
_METHODS = flags.DEFINE_list("methods", None, "Algorithms, and gem; all by default.")
_STEPS = flags.DEFINE_integer("steps", 10_000, "Gradient steps of each.", lower_bound=1)
_SEED = flags.DEFINE_integer(
    "seed", 0, "Of training.", lower_bound=0, upper_bound=2**31 - 1
)
_ACTIONS = flags.DEFINE_integer("actions", 1_000, "Drawn of each.", lower_bound=1)

_LAMBDA = 1.0
_SCORER = "gem"
_COLUMNS = ("method", "row", "rewarded", "least", "most", "off_modes")


def main(argv: list[str]) -> None:
    """Trains every method, draws, and prints the shares."""
    cli.no_arguments(argv)
    output = pathlib.Path(_OUTPUT.value)
    if not output.parent.is_dir():
        raise errors.UserError(f"--output={output}: there is no folder {output.parent}")
    entries = _asked(_METHODS.value)
    data = bandit.dataset(jax.random.key(0))
    bar = progress.Progress("gallery", len(entries), "methods")
    trained = {}
    for entry in entries:
        trained[entry.title] = methods.train(entry, data, _STEPS.value, _SEED.value)
        bar.add(1)
    # Not before there is something to show: matplotlib takes a second.
    from experiments.gallery import drawing

    scorer, count = trained[_SCORER], _ACTIONS.value
    drawn = {
        title: drawing.Drawn(
            methods.proposals(one, count),
            methods.choices(one, count),
            methods.behind_a_corrupted_critic(one, scorer, count, lam=0.0),
            methods.behind_a_corrupted_critic(one, scorer, count, lam=_LAMBDA),
        )
        for title, one in trained.items()
    }
    rows = [
        _row(title, name, actions)
        for title, one in drawn.items()
        for name, actions in one._asdict().items()
    ]
    picture, table = (output.with_name(output.name + end) for end in (".png", ".csv"))
    drawing.draw(drawn, np.asarray(data.action), picture)
    csv_rows.write(table, _COLUMNS, rows)
    print(format_shares(rows))
    for entry in entries:
        if entry.whole:
            shown = bandit.shows_all_modes(drawn[entry.title].proposed)
            print(f"{entry.title}: shows {'all' if shown else 'not all'} modes")
    print(f"in {picture}, {table}")


def _asked(names: Sequence[str] | None) -> list[methods.Entry]:
    """The pictures of some algorithms, and of GEM, whose critics the third row has."""
    known = sorted({entry.algo for entry in methods.ENTRIES})
    for name in names or ():
        if name not in known:
            raise errors.UserError(
                f"--methods={name} is not in the gallery; there are {', '.join(known)}"
            )
    wanted = known if names is None else names
    return [e for e in methods.ENTRIES if e.algo in wanted or e.title == _SCORER]


def _row(title: str, name: str, actions: np.ndarray) -> dict[str, Any]:
    found = {k: f"{v:.3f}" for k, v in bandit.shares(actions).items()}
    return {"method": title, "row": name, **found}


def format_shares(rows: Sequence[Mapping[str, Any]]) -> str:
    """A table in Markdown."""
    return markdown.table(_COLUMNS, [[str(row[c]) for c in _COLUMNS] for row in rows])


if __name__ == "__main__":
    cli.run(main)
