"""The kinds of sequence problems as boxes: steps beside one another, arrows up and to the right."""

from __future__ import annotations

from typing import NamedTuple

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure


class Kind(NamedTuple):
    """Which steps have an input from outside, and which have an output that is judged."""

    title: str
    steps: int
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    begins: str = ""  # what the first state comes from, if not from zeros
    parts: tuple[int, ...] = ()  # steps of a second network


KINDS = (
    Kind("many to many,\nstep by step", 4, (0, 1, 2, 3), (0, 1, 2, 3)),
    Kind("many to one", 4, (0, 1, 2, 3), (3,)),
    Kind("one to many", 3, (0, 1, 2), (0, 1, 2), begins="a picture"),
    Kind(
        "many to many, all read\nbefore anything is written",
        steps=6,
        inputs=(0, 1, 2, 3, 4, 5),
        outputs=(3, 4, 5),
        parts=(3, 4, 5),
    ),
)

_STATE, _SECOND, _BACK = "tab:blue", "tab:orange", "tab:red"


def draw(kinds: tuple[Kind, ...] = KINDS) -> Figure:
    """The four kinds; where gradients enter and how they travel is dashed."""
    figure, axes = plt.subplots(2, 2, figsize=(8, 4.8), gridspec_kw={"wspace": 0.05, "hspace": 0.3})
    for axis, kind in zip(axes.flat, kinds, strict=True):
        _draw_one(axis, kind)
    return figure


def _draw_one(axis: Axes, kind: Kind) -> None:
    axis.set_title(kind.title, fontsize=10)
    if kind.begins:
        _box(axis, -1.15, 1, "gray", kind.begins)
    for t in range(kind.steps):
        _box(axis, t, 1, _SECOND if t in kind.parts else _STATE, "h")
        if t in kind.inputs:
            axis.text(t, -0.25, "x", ha="center", va="center")
            _arrow(axis, (t, 0), (t, 0.62), "gray")
        if t in kind.outputs:
            axis.text(t, 2.25, "y", ha="center", va="center")
            _arrow(axis, (t - 0.1, 1.38), (t - 0.1, 2), "gray")
            _arrow(axis, (t + 0.12, 2), (t + 0.12, 1.38), _BACK, "--")
    for t in range(0 if kind.begins else 1, kind.steps):
        _arrow(axis, (t - 0.76, 1.12), (t - 0.24, 1.12), "gray")
        _arrow(axis, (t - 0.24, 0.86), (t - 0.76, 0.86), _BACK, "--")
    middle = (kind.steps - 1 - bool(kind.begins)) / 2
    axis.set(xlim=(middle - 3, middle + 3), ylim=(-0.6, 2.6))
    axis.axis("off")


def _box(axis: Axes, x: float, y: float, color: str, text: str) -> None:
    box = {"boxstyle": "round,pad=0.4", "facecolor": "none", "edgecolor": color, "linewidth": 1.6}
    small = len(text) > 1
    axis.text(x, y, text.replace(" ", "\n"), ha="center", va="center", bbox=box,
              fontsize=7 if small else 10)  # fmt: skip


def _arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], color: str, style: str = "-"
) -> None:
    axis.annotate(
        "", end, start, arrowprops={"arrowstyle": "->", "color": color, "linestyle": style}
    )
