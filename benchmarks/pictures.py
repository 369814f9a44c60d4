"""The pictures: ratios as bars from 1, and curves of growth. Needs matplotlib."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minirnn.checkpoint.whole_file import written

from .parts import LABELS
from .results import Row
from .rows import LIMITS, NOT_OURS
from .timing import ratio

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = {
    "generic": "tab:olive",
    "numpy": "tab:blue",
    "numba": "tab:green",
    "torch": "tab:orange",
    "compiled": "tab:red",
    "torch cells": "tab:red",
    "textbook": "tab:gray",
}
PALE = {"numba": 1.0, "numpy": 0.55, "generic": 0.3}  # bars of one peer, by the scan it is beside


class Curve(NamedTuple):
    """Seconds over a size."""

    values: Sequence[int]
    seconds: Sequence[float]
    slope: float


def new_figure(width: float, height: float) -> Figure | None:
    """An empty figure; None, and a line that says so, without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture, because matplotlib is missing: pip install matplotlib")
        return None
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, folder: Path, name: str) -> None:
    """Write ``NAME.png`` at once."""
    path = folder / f"{name}.png"
    with written(path) as file:
        figure.savefig(file, dpi=120, format="png")
    print(f"picture: {path}")


def ratios(rows: Sequence[Row], folder: Path | None, name: str, about: str) -> None:
    """Draw the others' times divided by minirnn's: a panel for each cell, or one for one size."""
    cells = list(dict.fromkeys(row.cell for row in rows))
    pairs = list(
        dict.fromkeys(
            (peer, own)
            for row in rows
            for peer in row.times
            for own in row.times
            if peer in NOT_OURS and peer not in LIMITS and own not in NOT_OURS
        )
    )
    if folder is None or not pairs:
        return
    sizes = list(dict.fromkeys(row.size for row in rows))
    by_cell = len(sizes) > 1
    titles, groups = (cells, sizes) if by_cell else (sizes, cells)
    width = max(7.0, 2.5 + 0.36 * len(groups) * (len(pairs) + 1))
    figure = new_figure(width, 1.6 + 2.7 * len(titles))
    if figure is None:
        return
    panels: list[Axes] = list(figure.subplots(len(titles), 1, squeeze=False, sharey=True)[:, 0])
    found = {(row.cell, row.size) if by_cell else (row.size, row.cell): row for row in rows}
    for ax, title in zip(panels, titles, strict=True):
        _bars(ax, [found.get((title, group)) for group in groups], pairs)
        ax.set_xticks(range(len(groups)), groups)
        ax.set_title(title, loc="left", fontweight="bold")
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, frameon=False)
    figure.suptitle(
        f"{about}\ntime divided by minirnn's: above 1, minirnn is the faster", fontsize=11
    )
    save(figure, folder, name)


def _bars(ax: Axes, rows: Sequence[Row | None], pairs: Sequence[tuple[str, str]]) -> None:
    width = 0.8 / len(pairs)
    for k, (peer, own) in enumerate(pairs):
        label = f"{LABELS[peer]} / {LABELS[own]}"
        for place, row in enumerate(rows):
            if row is None or not {peer, own} <= row.times.keys():
                continue
            times = row.times
            median, low, high = ratio(times[peer], times[own], np.random.default_rng(0))
            x = place + (k + 0.5) * width - 0.4
            ax.bar(
                x, median - 1, 0.92 * width, bottom=1, label=label,
                color=COLOURS[peer], alpha=PALE.get(own, 1.0),
            )  # fmt: skip
            ax.vlines(x, low, high, color="black", linewidth=1)
            ax.annotate(
                f"{median:.2f}" if median < 10 else f"{median:.0f}",
                (x, max(high, 1.0)), (0, 3), textcoords="offset points",
                ha="center", va="bottom", fontsize=7,
            )  # fmt: skip
            label = "_"
    ax.axhline(1, color="black", linewidth=1)
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ax.set_ylim(min(low, 0.6), max(1.35 * high, 3.0))
    label_ticks(ax)
    ax.set_xlim(-0.6, len(rows) - 0.4)
    ax.set_ylabel("ratio of times")
    ax.grid(axis="y", alpha=0.3)
    ax.spines[["top", "right"]].set_visible(False)


def label_ticks(ax: Axes) -> None:
    """Plain numbers 1, 2, 5, 10, … along a logarithmic y axis."""
    low, high = ax.get_ylim()
    ticks = [m * 10.0**k for k in range(-3, 6) for m in (1, 2, 5) if low <= m * 10.0**k <= high]
    ax.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    ax.minorticks_off()


def growth(
    curves: Mapping[tuple[str, str], Mapping[str, Curve]], folder: Path | None, name: str
) -> None:
    """Draw times over T, N and H, a row of panels for each cell, with the slopes."""
    cells, letters = (list(dict.fromkeys(key[k] for key in curves)) for k in (0, 1))
    if folder is None or (figure := new_figure(4.2 * len(letters), 1 + 3.2 * len(cells))) is None:
        return
    panels = figure.subplots(len(cells), len(letters), squeeze=False)
    for ax, ((cell, letter), sides) in zip(panels.ravel(), curves.items(), strict=True):
        for side, (values, seconds, slope) in sides.items():
            style = {"color": COLOURS[side], "linewidth": 2, "markersize": 4}
            ax.plot(
                values,
                np.multiply(seconds, 1e3),
                "o-",
                label=f"{LABELS[side]}: {slope:.2f}",
                **style,
            )
        values = next(iter(sides.values())).values
        ax.set_xscale("log", base=2)
        ax.set_yscale("log")
        bottom = 600 * min(
            seconds[0] for _, seconds, _ in sides.values()
        )  # below all curves, in ms
        linear = [bottom * value / values[0] for value in values]
        ax.plot(values, linear, ":", color="black", linewidth=1, label="linear: 1")
        ax.set_xticks(values, [str(value) for value in values])
        ax.minorticks_off()
        ax.set_ylim(top=3 * ax.get_ylim()[1])  # room for the legend
        label_ticks(ax)
        ax.set_title(f"{cell}, {letter} grows", loc="left", fontweight="bold")
        ax.set_xlabel(letter)
        ax.set_ylabel("ms")
        ax.grid(alpha=0.3)
        ax.legend(title="slopes", fontsize=8, title_fontsize=8, frameon=False, loc="upper left")
        ax.spines[["top", "right"]].set_visible(False)
    figure.suptitle(
        "forward and backward of one layer; T = 32, N = 32, H = D = 128 where they do not grow"
    )
    save(figure, folder, name)
