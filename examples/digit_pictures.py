"""What a network makes of pictures of digits: confusions, misread pictures, names letter by letter.

Each function draws into a figure, or a part of one, that the caller has made. Needs matplotlib.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from digits import Digits

if TYPE_CHECKING:
    from matplotlib.figure import SubFigure

Values = np.ndarray[Any, Any]


def draw_confusion(figure: SubFigure, counts: Values) -> None:
    """Write how often each digit (row) was read as which (column), with a colour for what is wrong."""
    right = np.eye(len(counts), dtype=bool)
    wrong = np.where(right, 0, counts)
    ax = figure.subplots()
    ax.imshow(wrong, cmap="Reds", vmin=0, vmax=max(1, 1.5 * wrong.max()))
    for (digit, said), count in np.ndenumerate(counts):
        if count:
            weight = "bold" if digit == said else "normal"
            ax.text(said, digit, str(count), ha="center", va="center", size=9, weight=weight)
    ax.set_xticks(range(len(counts)))
    ax.set_yticks(range(len(counts)))
    ax.set(xlabel="was read as", ylabel="digit")
    ax.set_title(
        f"{counts[right].sum() / counts.sum():.1%} of {counts.sum():,} pictures read right"
    )


def draw_reading(figure: SubFigure, image: Values, p: Values) -> None:
    """Draw a picture, and beside each of its rows how likely each digit is by then: p (K, rows)."""
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(1, 1.2))
    left.imshow(image, cmap="gray_r", aspect="auto")
    left.set(title="a picture", xlabel="column", ylabel="row")
    shown = right.imshow(p.T, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    right.set_xticks(range(len(p)))
    right.set(title="what it is taken for,\nread down to this row", xlabel="digit")
    figure.colorbar(shown, ax=right, label="probability")


def draw_misread(figure: SubFigure, test: Digits, said: Values, sure: Values) -> None:
    """Draw up to 30 misread pictures, the one that the network was most sure of first."""
    wrong = np.flatnonzero(said != test.labels)
    wrong = wrong[np.argsort(-sure[wrong], kind="stable")]
    figure.suptitle(
        f"misread: {len(wrong)} pictures, the surest first (digit → was read as, how sure)"
    )
    titles = [f"{test.labels[n]} → {said[n]}  {sure[n]:.0%}" for n in wrong]
    draw_pictures(figure, test.images[wrong], titles, 5, 6)


def draw_pictures(
    figure: SubFigure, images: Values, titles: Sequence[str], rows: int, columns: int
) -> None:
    """Draw as many of the pictures as there is room for, ink in black."""
    axes = figure.subplots(rows, columns)
    for ax in axes.flat:
        ax.axis("off")
    for ax, image, title in zip(axes.flat, images, titles, strict=False):
        ax.imshow(image, cmap="gray_r", vmin=0, vmax=1)
        ax.set_title(title, size=10)


def draw_names(
    figure: SubFigure, images: Values, names: Sequence[str], right: Sequence[str], p: Values
) -> None:
    """Draw twelve pictures with the names they got, if right, then wrong ones, likeliest first."""
    correct = [k for k in range(len(names)) if names[k] == right[k]][:12]
    wrong = [k for k in np.argsort(-p, kind="stable").tolist() if names[k] != right[k]]
    shown = [*correct, *wrong]
    titles = [names[k] if k in correct else f"{names[k]}\n(is {right[k]})" for k in shown]
    figure.suptitle(
        "names that were written: those that are right, then wrong ones, the likeliest first"
    )
    draw_pictures(figure, images[shown], titles, 3, 12)


def draw_letters(
    figure: SubFigure, image: Values, title: str, name: str, p: Values, letters: Sequence[str]
) -> None:
    """Draw a picture, and how likely each letter is at each step of its name: p (K, T)."""
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.6))
    left.imshow(image, cmap="gray_r", vmin=0, vmax=1)
    left.set_title(title)
    left.axis("off")
    shown = right.imshow(p, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (letter, t), value in np.ndenumerate(p):
        if value >= 0.05:
            color = "white" if value > 0.6 else "black"
            right.text(t, letter, f"{value:.2f}", ha="center", va="center", size=8, color=color)
    right.set_yticks(range(len(p)), letters)
    right.set_xticks(range(p.shape[1]), ["start", *name])
    right.set(xlabel="the letter read", ylabel="the next letter")
    right.set_title(f"the name that was written: {name}")
    figure.colorbar(shown, ax=right, label="probability")
