"""Tables of Markdown."""

from __future__ import annotations

from collections.abc import Sequence


def markdown(rows: Sequence[Sequence[str]]) -> str:
    """A table of which the first row is the heading."""
    heading, *others = rows
    return "\n".join(f"| {' | '.join(r)} |" for r in (heading, ["---"] * len(heading), *others))
