"""What `stock_csv.py` and `stock_csv_why.py` draw, each into axes that are given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
from stock_csv_task import NAIVE, Task

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_closes(ax: Axes, task: Task, said: np.ndarray, target: str) -> None:
    """Draw predictions and truth over the days."""
    ax.plot(task.days, task.close_test, color="black", linewidth=2, label="true close")
    ax.plot(task.days, task.naive, color="tab:gray", linestyle=":", label=NAIVE[target])
    ax.plot(task.days, said, color="tab:red", linewidth=2, label="network")
    ax.set(xlabel="day", ylabel="price", title=f"the close of {target}")
    ax.tick_params(axis="x", labelrotation=20)  # dates are long
    ax.legend()
    ax.grid(alpha=0.3)


def draw_units(ax: Axes, h: np.ndarray) -> None:
    """Draw what the hidden units are at each window's end."""
    image = ax.imshow(h, cmap="RdBu_r", vmin=-1, vmax=1, aspect="auto", interpolation="nearest")
    ax.figure.colorbar(image, ax=ax, label="h")
    ax.set(
        xlabel="window",
        ylabel="hidden unit",
        title=f"hidden state, {saturated(h):.0%} beyond ±0.99",
    )


def saturated(h: np.ndarray) -> float:
    """Return the share of a hidden state that lies where tanh is flat."""
    return float((abs(h) > 0.99).mean())


def draw_shares(ax: Axes, shares: Mapping[str, Sequence[float]]) -> None:
    """Draw the variance that each run explains, and the medians."""
    for row, values in enumerate(shares.values()):
        ax.plot(np.maximum(values, -1), [row] * len(values), "o", color="tab:blue", alpha=0.6)
        ax.plot(max(median(values), -1), row, "|", color="black", markersize=18, markeredgewidth=2)
    ax.axvline(0, color="tab:gray", linestyle=":")
    ax.set_yticks(range(len(shares)), list(shares))
    ax.set(xlim=(-1.1, 1.1), ylim=(len(shares) - 0.5, -0.5), xticks=(-1, -0.5, 0, 0.5, 1))
    ax.set_xlabel("R², the variance explained (-1 or less at -1)")
    ax.grid(alpha=0.3)
