"""The pictures of cell_basics.py: a cell unfolded, what is inside it, and words of different lengths."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from typing import TYPE_CHECKING

import command_line
import numpy as np

from minirnn import plot

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw(
    traces: Mapping[str, np.ndarray],
    word: str,
    batch: np.ndarray,
    lengths: Mapping[str, int],
    options: argparse.Namespace,
) -> None:
    """Put the three side by side in a PNG; the plain RNN has nothing inside but its state.

    Args:
        traces: states and gates by name, each (T, H), while `word` was read.
        word: of T letters.
        batch: hidden states (N, T, H) of several words.
        lengths: how much of each of these words was read.
        options: with the cell, and where the PNG is to go.
    """
    panels = 3 if len(traces) > 1 else 2
    figure = command_line.new_figure(5.5 * panels, 4.8, options.show)
    if figure is None:
        return
    axes = figure.subplots(1, panels)
    title = f'the {options.cell.upper()} unfolded over "{word}"'
    after = [f"$h_{t}$" for t in range(1, len(word) + 1)]
    plot.states_over_time(axes[0], traces["h"], word, after, title)
    if panels == 3:
        inside(axes[1], traces, word)
    different_lengths(axes[-1], batch, lengths)
    command_line.save(figure, options.out / f"cell_basics_{options.cell}.png")


def inside(ax: Axes, traces: Mapping[str, np.ndarray], word: str) -> None:
    """Draw the states and gates of unit 0 over time."""
    for name, values in traces.items():
        ax.plot(values[:, 0], "o-", label=name, linewidth=4 if name in "hc" else 1.5)
    ax.set_xticks(range(len(word)), list(word))
    ax.set(xlabel="input", ylabel="value", ylim=(-1.05, 1.05))
    ax.set_title("inside unit 0: states (thick) and gates")
    ax.grid(alpha=0.3)
    ax.legend(loc="upper left", bbox_to_anchor=(1, 1))


def different_lengths(ax: Axes, batch: np.ndarray, lengths: Mapping[str, int]) -> None:
    """Draw words under one another, a row for each unit, and leave what is past an end grey."""
    _, T, H = batch.shape
    pairs = zip(batch, lengths.values(), strict=True)
    rows = np.vstack([np.where(np.arange(T) < length, h.T, np.nan) for h, length in pairs])
    limit = np.nanmax(np.abs(rows))
    image = ax.imshow(rows, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    ax.set_facecolor("0.8")
    paper = {"boxstyle": "circle", "facecolor": "white", "edgecolor": "none"}
    for n, (word, length) in enumerate(lengths.items()):
        ax.axhline(n * H - 0.5, color="white", linewidth=6)
        for t, letter in enumerate(word[:length]):
            ax.text(t, n * H + (H - 1) / 2, letter, ha="center", va="center", bbox=paper)
    ax.set_xticks(range(T), [str(t + 1) for t in range(T)])
    ax.set_yticks(range(len(rows)), [f"unit {k % H}" for k in range(len(rows))])
    ax.set_xlabel("step")
    ax.set_title(f"words of the lengths {', '.join(map(str, lengths.values()))}: grey is zero")
    ax.figure.colorbar(image, ax=ax, fraction=0.046, label="h")
