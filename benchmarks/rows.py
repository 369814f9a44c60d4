"""Measuring one row, and printing it."""

from __future__ import annotations

import resource
import tracemalloc
from dataclasses import dataclass

import numpy as np

from .parts import LABELS
from .results import Row
from .timing import Clock, Ratio, Side, measure, ratio, wall

LIMITS = ("products", "large", "limit", "limit tf32")  # what is timed beside the sides
NOT_OURS = ("torch", "torch tf32", "compiled", "torch cells", "textbook", *LIMITS)


@dataclass
class Meter:
    """How to measure."""

    seconds: float
    alone: float
    rng: np.random.Generator
    clock: Clock = wall

    def times(self, sides: dict[str, Side]) -> dict[str, list[float]]:
        """Of each side."""
        return measure(sides, self.seconds, self.alone, self.rng, self.clock)


def page_faults(run: Side, seconds: float) -> float:
    """Pages that a call had to get from the system, over some calls."""
    calls = min(200, max(3, int(0.05 / seconds)))
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(calls):
        run()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) / calls


def bytes_held(run: Side) -> int:
    """The most bytes of new arrays and objects that a call held at once."""
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        run()
        return tracemalloc.get_traced_memory()[1] - before
    finally:
        tracemalloc.stop()


def add_costs(row: Row, sides: dict[str, Side]) -> None:
    """Add page faults, and what was held, outside of the timed calls.

    PyTorch's arrays are not seen by Python's tracing, so that only NumPy's sides have the latter.
    """
    for name, run in sides.items():
        row.faults[name] = page_faults(run, row.median(name))
        if not name.startswith(("torch", "compiled")):
            row.held[name] = bytes_held(run)


def ratios(row: Row, side: str) -> dict[str, Ratio]:
    """The time of a side divided by that of each side of minirnn."""
    times = row.times
    return {
        own: ratio(times[side], times[own], np.random.default_rng(0))
        for own in times
        if own not in NOT_OURS
    }


def share(row: Row, limit: str, side: str) -> float:
    """The time of `limit` as a share of the side's, the median of the rounds."""
    return float(np.median(np.array(row.times[limit]) / np.array(row.times[side])))


def heading(own: list[str]) -> str:
    """The names of the columns."""
    ratios = "".join(f"{'time / ' + LABELS[side]:>23}" for side in own)
    return (
        f"  {'':<17}{'ms':>10}{ratios}{'rate':>7}{'products':>10}"
        f"{'faults':>8}{'held KiB':>10}{'peak MiB':>10}{'rounds':>8}"
    )


def lines(row: Row, about: str) -> str:
    """A row as text: what it is of, then a line for each side."""
    speed = row.large_flops / row.median("large")
    text = [f"{row.size} ({about}): {row.cell}; large products reach {speed / 1e9:.0f} GFLOP/s"]
    for side, times in row.times.items():
        if side == "large":
            continue
        line = f"  {LABELS[side]:<17}{row.median(side) * 1e3:>10.3f}"
        for own, beside in ratios(row, side).items():
            line += f"{'' if own == side else str(beside):>23}"
        line += f"{row.flops / row.large_flops * share(row, 'large', side):>7.0%}"
        products = "products" in row.times and side != "products"
        line += f"{share(row, 'products', side) if products else '':>10{'.0%' if products else ''}}"
        line += f"{row.faults[side]:>8.0f}" if side in row.faults else f"{'':>8}"
        line += f"{row.held[side] / 1024:>10,.0f}" if side in row.held else f"{'':>10}"
        line += f"{row.memory[side] / 2**20:>10.1f}" if side in row.memory else f"{'':>10}"
        text.append(f"{line}{len(times):>8}")
    return "\n".join(text)
