"""The table of training steps: PyTorch's time divided by that of our scans, cell by cell."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from .markdown import markdown
from .results import Row
from .sizes import CELLS, SIZES, Size
from .timing import ratio


def table(
    rows: Sequence[Row], own: Mapping[str, str], whole: bool, first: str = "(T, N, D, H) × layers"
) -> str:
    """A row for each size, a column for each scan and cell.

    Args:
        rows: of the part "step"; a size and cell may be there more than once, with other scans.
        own: the scans' names in the table, and in the rows; those that were not measured are left out.
        whole: with the interval of each median, and the sizes' names.
        first: above the sizes.
    """
    steps = [row for row in rows if row.part == "step" and "torch" in row.times]
    found = {(row.size, row.cell, scan): row for row in steps for scan in row.times}
    own = {name: scan for name, scan in own.items() if any(key[2] == scan for key in found)}
    heading = [
        f"{name}: {cell}" if k == 0 else cell for name in own for k, cell in enumerate(CELLS)
    ]
    lines = [[first, *heading]]
    for name in SIZES:
        if any(key[0] == name for key in found):
            shape = next(row.shape for key, row in found.items() if key[0] == name)
            keys = [(name, cell, scan) for scan in own.values() for cell in CELLS]
            cells = [beside(found.get(key), key[2], whole) for key in keys]
            lines.append([f"{name} {sizes(shape)}" if whole else sizes(shape), *cells])
    return markdown(lines)


def sizes(shape: Mapping[str, Any]) -> str:
    """As in the first column."""
    size = Size(**shape)
    layers = f" × {size.layers}" if size.layers > 1 else ""
    return f"({size.T}, {size.N}, {size.D}, {size.H}){layers}"


def beside(row: Row | None, side: str, whole: bool, other: str = "torch") -> str:
    """The time of the other side divided by this one's."""
    if row is None or not {side, other} <= row.times.keys():
        return "–"
    found = ratio(row.times[other], row.times[side], np.random.default_rng(0))
    return str(found) if whole else str(found).partition(" ")[0]


def of_device(header: Mapping[str, Any], rows: Sequence[Row]) -> str:
    """The README's, with the device and the day above the sizes."""
    first = f"{header['machine']['device']}, {header['run']['date']}: (T, N, D, H) × layers"
    return table(rows, {"persistent": "persistent", "fused": "fused"}, whole=False, first=first)


def unmeasured() -> str:
    """The same where nothing has been measured."""
    return markdown([["(T, N, D, H) × layers", *CELLS], ["not measured", *["–"] * len(CELLS)]])
