"""For which T, N and H is the device faster than the CPU? The map, as numbers and as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .parts import HOST
from .pictures import new_figure, save
from .results import Row
from .rows import NOT_OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EDGE = 5  # the colours end at 2 to this power
WIDTH = 9.5  # inches at least, for what stands above the panels


class Point(NamedTuple):
    """One size: the CPU's median divided by that of the fastest scan on the device."""

    T: int
    N: int
    H: int
    gain: float  # above 1, the device is the faster
    scan: str


def points(rows: Sequence[Row], cell: str) -> list[Point]:
    """The map of a cell; sizes without a time on each of the two are left out."""
    found = []
    for row in rows:
        if row.part != "map" or row.cell != cell:
            continue
        medians = {side: row.median(side) for side in row.times if side not in NOT_OURS}
        host = [medians[side] for side in medians if side in HOST]
        there = {side: seconds for side, seconds in medians.items() if side not in HOST}
        if host and there:
            best = min(there, key=lambda side: there[side])
            T, N, H = (row.shape[letter] for letter in "TNH")
            found.append(Point(T, N, H, min(host) / there[best], best))
    return found


def said(gain: float) -> str:
    """With two digits, or as many as it has before the point."""
    return f"{gain:.2f}" if gain < 1 else f"{gain:.1f}" if gain < 10 else f"{gain:.0f}"


def draw(header: Mapping[str, Any], rows: Sequence[Row], folder: Path, name: str) -> None:
    """A panel for each cell and T, over N and H: red where the CPU is the faster, blue where not."""
    cells = [cell for cell in dict.fromkeys(row.cell for row in rows) if points(rows, cell)]
    lengths = sorted({point.T for cell in cells for point in points(rows, cell)})
    if not cells:
        return
    width = max(WIDTH, 1.5 + 4.2 * len(lengths))
    figure = new_figure(width, 1.7 + 2.9 * len(cells))
    if figure is None:
        return
    panels = figure.subplots(len(cells), len(lengths), squeeze=False)
    for line, cell in zip(panels, cells, strict=True):
        for ax, T in zip(line, lengths, strict=True):
            image = _panel(ax, [point for point in points(rows, cell) if point.T == T])
            ax.set_title(f"{cell}, T = {T}", fontsize=14)
    ticks = range(-EDGE, EDGE + 1)
    labels = [f"{2**k}" if k >= 0 else f"1/{2**-k}" for k in ticks]
    bar = figure.colorbar(image, ax=panels, label="time on the CPU / on the device", shrink=0.9)
    bar.set_ticks(list(ticks), labels=labels)
    machine = header["machine"]
    figure.suptitle(
        "Forward and backward of one layer: where the number is above 1, the device is the faster\n"
        f"{machine['device']}; {machine['processor']}; {header['run']['date']}",
        fontsize=12,
    )
    save(figure, folder, name)


def _panel(ax: Axes, found: Sequence[Point]) -> Any:
    """The gains of one cell and length; the line parts those above 1 from those below."""
    columns, heights = sorted({p.H for p in found}), sorted({p.N for p in found})
    gains = np.full((len(heights), len(columns)), np.nan)
    for point in found:
        gains[heights.index(point.N), columns.index(point.H)] = point.gain
    powers = np.log2(gains)
    image = ax.imshow(powers, cmap="RdBu", vmin=-EDGE, vmax=EDGE, origin="lower", aspect="auto")
    for (k, j), gain in np.ndenumerate(gains):
        if gain == gain:  # and is not NaN
            dark = abs(powers[k, j]) > 0.6 * EDGE
            colour = "white" if dark else "black"
            ax.text(j, k, said(gain), ha="center", va="center", fontsize=13, color=colour)
    border: dict[str, Any] = {"color": "black", "linewidth": 2.5}
    for k, j in np.argwhere((gains[:, 1:] > 1) != (gains[:, :-1] > 1)):
        ax.plot([j + 0.5] * 2, [k - 0.5, k + 0.5], **border)
    for k, j in np.argwhere((gains[1:] > 1) != (gains[:-1] > 1)):
        ax.plot([j - 0.5, j + 0.5], [k + 0.5] * 2, **border)
    ax.set_xticks(range(len(columns)), [str(H) for H in columns])
    ax.set_yticks(range(len(heights)), [str(N) for N in heights])
    ax.set_xlabel("H, units", fontsize=12)
    ax.set_ylabel("N, sequences", fontsize=12)
    return image
