"""Two files of results, row by row: how many times as fast the second one is as the first.

The ratio is that of the medians, old / new, with the 95 % interval of the bootstrap. The two were not
measured in turns, so that whatever else the machine did in between is in the ratio, too: the interval
knows nothing of it. Rows whose interval excludes 1 are marked.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from .options import refuse
from .parts import LABELS
from .results import Row, read
from .timing import Ratio


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The two files."""
    parser.add_argument("old", type=Path, help="JSON that --out made")
    parser.add_argument("new", type=Path, help="another one")


def unpaired(old: Sequence[float], new: Sequence[float], rng: np.random.Generator) -> Ratio:
    """The ratio of two medians that were measured apart, and its 95 % interval."""
    medians = [
        np.median(rng.choice(times, (2000, len(times))), axis=1)
        for times in map(np.array, (old, new))
    ]
    low, high = np.percentile(medians[0] / medians[1], (2.5, 97.5))
    return Ratio(float(np.median(old) / np.median(new)), float(low), float(high))


def compared(old: list[Row], new: list[Row]) -> list[tuple[Row, str, Ratio]]:
    """What both have: the newer row, the side, and old / new."""
    before = {row.key: row for row in old}
    rng = np.random.default_rng(0)
    return [
        (row, side, unpaired(before[row.key].times[side], times, rng))
        for row in new
        if row.key in before and before[row.key].shape == row.shape
        for side, times in row.times.items()
        if side in before[row.key].times
    ]


def run(options: argparse.Namespace) -> None:
    """Print the table."""
    try:
        (old_header, old), (new_header, new) = read(options.old), read(options.new)
    except ValueError as error:
        refuse(str(error))
    except OSError as error:
        refuse(f"{error.filename}: {error.strerror}")
    found = compared(old, new)
    if not found:
        refuse(f"{options.old} and {options.new} have no row in common")
    for what in sorted(old_header["machine"].keys() | new_header["machine"].keys()):
        here = [header["machine"].get(what, "none") for header in (old_header, new_header)]
        if here[0] != here[1]:
            print(f"{what} differs: {here[0]} / {here[1]}")
    print(f"{'size':<10}{'cell':<6}{'part':<10}{'side':<18}{'new ms':>10}{'old / new':>23}")
    for row, side, beside in found:
        mark = "" if not beside.differs else "  faster" if beside.median > 1 else "  slower"
        print(
            f"{row.size:<10}{row.cell:<6}{row.part:<10}{LABELS.get(side, side):<18}"
            f"{row.median(side) * 1e3:>10.3f}{beside!s:>23}{mark}"
        )
