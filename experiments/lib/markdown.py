"""Tables as the programs print them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import tabulate


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Markdown; cells stand as they are, also those that look like numbers."""
    return tabulate.tabulate(
        rows, header, tablefmt="github", disable_numparse=True, stralign="left"
    )
