"""The picture of the ladder: a staircase of times."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from textwrap import fill
from typing import NamedTuple

from .timing import Ratio

COLOURS = ("tab:red", "dimgray")


class Stair(NamedTuple):
    """One rung, measured."""

    change: str
    seconds: float
    gain: Ratio | None  # over the rung before; None for the first


def staircase(stairs: Sequence[Stair], lines: Mapping[str, float], title: str, path: Path) -> None:
    """Draw times as stairs, and write them to `path`; without matplotlib, say so.

    Args:
        stairs: from the lowest rung.
        lines: seconds to compare with, by name, as horizontal lines; the slower one first.
        title: of the picture.
        path: of the PNG.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture, because matplotlib is missing: pip install matplotlib")
        return
    times = [stair.seconds * 1e3 for stair in stairs]
    top = 1.3 * max(*times, *(seconds * 1e3 for seconds in lines.values()))
    digits = max(0, 2 - math.floor(math.log10(max(times))))  # three of them in the largest
    figure = Figure(figsize=(1.8 + 1.35 * len(stairs), 6.5), layout="constrained")
    ax = figure.subplots()
    edges = [k - 0.5 for k in range(len(stairs) + 1)]
    ax.stairs(times, edges, fill=True, color="tab:blue", alpha=0.15)
    ax.stairs(times, edges, baseline=None, color="tab:blue", linewidth=2.5)
    for k, (stair, ms) in enumerate(zip(stairs, times, strict=True)):
        ax.annotate(
            f"{ms:.{digits}f} ms", (k, ms), (0, 5), textcoords="offset points", ha="center", size=12,
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.9, "pad": 1},
        )  # fmt: skip
        gain, colour = "gain over the\none before\n(gray: unclear)", "black"
        if stair.gain is not None:
            gain = f"×{stair.gain.median:.2f}"
            colour = "tab:green" if stair.gain.median > 1 else "tab:red"
            colour = colour if stair.gain.differs else "gray"
        size, weight = (15, "bold") if stair.gain else (11, "normal")
        ax.text(
            k, 0.93 * top, gain, ha="center", va="center", size=size, weight=weight, color=colour
        )
    lowest = float("inf")  # of the labels so far, so that the next one stays clear of them
    for (name, seconds), colour in zip(lines.items(), COLOURS[-len(lines) :], strict=True):
        ms = seconds * 1e3
        lowest = min(ms, lowest - 0.13 * top)
        ax.axhline(ms, color=colour, linestyle="--", linewidth=1.5, zorder=1.5)
        label = f"{fill(name, 14)}\n{ms:.{digits}f} ms"
        ax.text(edges[-1] + 0.06, lowest, label, va="center", color=colour, size=11)
    ax.set_xlim(edges[0], edges[-1])
    ax.set_ylim(0, top)
    labels = [f"{k}\n{fill(stair.change, 17)}" for k, stair in enumerate(stairs)]
    ax.set_xticks(range(len(stairs)), labels)
    ax.set_ylabel("milliseconds for one call")
    ax.set_title(title)
    for side in ("top", "right"):
        ax.spines[side].set_visible(False)
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")
