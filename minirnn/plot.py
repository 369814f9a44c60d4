"""The pictures a learner wants. Needs matplotlib.

Each function draws into axes that the caller has made, so that they can be put side by side.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from .backend import Array, to_host

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def loss_curve(ax: Axes, losses: Sequence[float], guessing: float | None = None) -> None:
    """Draw the loss in nats over the steps of training; on a logarithmic scale, if it falls tenfold.

    Args:
        ax: where to draw.
        losses: one number a step.
        guessing: the loss that guessing gives, such as ln K, as a line to compare with.
    """
    from matplotlib.ticker import MaxNLocator

    marker = "o" if len(losses) == 1 else None
    ax.plot(losses, color="tab:blue", linewidth=2, marker=marker)
    if guessing is not None:
        ax.axhline(guessing, color="tab:gray", linestyle="--", linewidth=1)
        place = (0.98, guessing)
        ax.text(*place, "guessing", transform=ax.get_yaxis_transform(), ha="right", va="top")
    if 0 < 10 * min(losses) < max(losses):
        ax.set_yscale("log")
    else:
        ax.set_ylim(bottom=0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("step")
    ax.set_ylabel("loss (nats)")
    ax.set_title("training")
    ax.grid(alpha=0.3)


def states_over_time(
    ax: Axes,
    h: Array,
    below: Sequence[str],
    above: Sequence[str],
    title: str = "hidden state",
    units: Sequence[str] | None = None,
) -> None:
    """Draw one sequence's units over time: a column per step, a row per unit, blue to red for -1 to 1.

    Args:
        ax: where to draw.
        h: (T, H), such as ``ys[:, :, 0]`` or ``cache["l0.h"][:, :, 0]``.
        below: what went in at each step, written below its column.
        above: what came out, written above it.
        title: of the picture.
        units: names of the units; None numbers them.
    """
    values = to_host(h).T
    H, T = values.shape
    limit = max(1.0, float(np.abs(values).max(initial=0)))
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for unit in range(H):
        for t in range(T):
            dark = abs(values[unit, t]) > 0.6 * limit
            text = f"{round(float(values[unit, t]), 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")
            ax.text(t, unit, text, ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(T), below)
    ax.set_yticks(range(H), units or [f"unit {unit}" for unit in range(H)])
    ax.set_xlabel("input")
    top = ax.secondary_xaxis("top")
    top.set_xticks(range(T), above)
    top.set_xlabel("output")
    ax.set_title(title)
    ax.figure.colorbar(image, ax=ax, fraction=0.046, label="h")
