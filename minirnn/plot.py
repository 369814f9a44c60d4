"""The pictures a learner wants. Needs matplotlib.

Each function draws into axes that the caller has made, so that they can be put side by side.
"""

from __future__ import annotations

import math
import re
import unicodedata
import warnings
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from functools import cache
from itertools import cycle, pairwise
from typing import TYPE_CHECKING

import numpy as np

from . import checks
from .backend import Array, to_host

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CELL, DESCENT = (0.602, 1.17), 0.26  # of a monospaced letter, in units of its size
WIDE = 1.0  # the width of a cell, if there is a letter as wide as those of Chinese, Japanese and Korean
FONTS = (  # that have them, of Linux, Windows and macOS; those for code first
    "Noto Sans Mono CJK KR", "NanumGothicCoding", "D2Coding", "Noto Sans CJK KR", "Noto Sans CJK JP",
    "Noto Sans KR", "NanumGothic", "NanumBarunGothic", "Malgun Gothic", "Apple SD Gothic Neo",
    "AppleGothic", "Hiragino Sans", "PingFang SC", "Microsoft YaHei", "MS Gothic", "WenQuanYi Zen Hei",
    "UnDotum", "Baekmuk Gulim", "Unifont",
)  # fmt: skip


@cache
def fonts(family: str) -> list[str]:
    """The names of a font and of all that may stand in for it, where it lacks letters.

    Args:
        family: the font, such as ``"monospace"`` or ``"sans-serif"``.

    Returns:
        It, and behind it those installed that have Korean, Chinese or Japanese letters, and Matplotlib's
        own, which has Hebrew and Arabic ones: for ``matplotlib.rcParams["font.family"]``.
    """
    from matplotlib import font_manager

    installed = set(font_manager.get_font_names())
    if not installed & {*FONTS}:  # Matplotlib keeps a list, in which those installed since are not
        known = {font.fname for font in font_manager.fontManager.ttflist}
        for path in {*font_manager.findSystemFonts()} - known:
            with suppress(RuntimeError, OSError, ValueError):  # one that it cannot read
                font_manager.fontManager.addfont(path)
        installed = set(font_manager.get_font_names())
    return [family, *(font for font in FONTS if font in installed), "DejaVu Sans"]


def loss_curve(ax: Axes, losses: Sequence[float], guessing: float | None = None) -> None:
    """Draw the loss in nats over the steps of training; on a logarithmic scale, if it falls tenfold.

    Args:
        ax: where to draw.
        losses: one number a step.
        guessing: the loss that guessing gives, such as ln K, as a line to compare with.

    Raises:
        ValueError: `losses` are none, or not (steps,).
        TypeError: `losses` are no array of numbers.
    """
    from matplotlib.ticker import MaxNLocator

    given = checks.of_shape("losses", checks.an_array("losses", losses), ("steps",))
    if not given.size:
        raise ValueError("losses: got none, want one or more")
    marker = "o" if len(losses) == 1 else None
    ax.plot(losses, color="tab:blue", linewidth=2, marker=marker)
    if guessing is not None:
        guessing = checks.real_number("guessing", guessing, -math.inf)
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


def loss_curves(
    ax: Axes,
    curves: Mapping[str, tuple[Sequence[float], Sequence[float]]],
    guessing: Mapping[str, float] | None = None,
    pale: Collection[str] = (),
) -> None:
    """Draw several losses over the steps of training, in nats on the left and in bits on the right.

    Args:
        ax: where to draw.
        curves: by name, the steps and the losses there.
        guessing: by name, losses to compare with, such as ln K, as horizontal lines.
        pale: names of curves to draw thin and pale, in the colour of the next one: the loss of
            every step behind its running mean.

    Raises:
        ValueError: a curve has other steps than losses.
        TypeError: `curves` or `guessing` are not by name, or not pairs and numbers; `pale` is one name.
    """
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    checks.mapping("curves", curves)
    heights = {} if guessing is None else guessing
    checks.mapping("guessing", heights)
    for name, height in heights.items():
        checks.real_number(f"guessing[{name!r}]", height, -math.inf)
    if isinstance(pale, str | bytes) or not isinstance(pale, Collection):
        raise TypeError(f"pale: got {pale!r}, want a list of names")
    for name, curve in curves.items():
        if not (isinstance(curve, tuple | list) and len(curve) == 2):
            raise TypeError(f"curves[{name!r}]: want a pair, the steps and the losses there")
        steps, losses = (checks.an_array(f"curves[{name!r}]", part) for part in curve)
        checks.of_shape(f"losses of curves[{name!r}]", losses, steps.shape)
    colours = cycle(("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple"))
    colour = next(colours)
    for name, (steps, losses) in curves.items():
        if name in pale:
            ax.plot(steps, losses, color=colour, linewidth=0.8, alpha=0.35, label=name)
            continue
        marker = "o" if len(steps) <= 30 else None
        ax.plot(steps, losses, color=colour, linewidth=2, marker=marker, markersize=4, label=name)
        colour = next(colours)
    ax.set_ylim(bottom=0)
    ax.margins(x=0.02)
    _lines_with_labels(ax, heights)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))
    ax.set_xlabel("step")
    ax.set_ylabel("loss (nats)")
    ln2 = math.log(2)
    functions = (lambda nats: np.divide(nats, ln2), lambda bits: np.multiply(bits, ln2))
    ax.secondary_yaxis("right", functions=functions).set_ylabel("loss (bits)")
    ax.grid(alpha=0.3)
    ax.legend(loc="lower left")


def _lines_with_labels(ax: Axes, heights: Mapping[str, float]) -> None:
    """Draw horizontal lines, with names above their right ends, or below to make way for others."""
    size = 9
    greys = cycle(("0.35", "tab:brown", "tab:purple"))
    top = 1.03 * max(ax.get_ylim()[1], *heights.values(), 0.0)
    points = ax.get_window_extent().height * 72 / ax.figure.dpi
    line = 1.5 * size / points * top  # the height of a line of text, in nats
    ordered, free = sorted(heights.items(), key=lambda pair: pair[1]), 0.0
    for (name, height), (_, above) in pairwise([*ordered, ("", math.inf)]):
        colour = next(greys)
        ax.axhline(height, color=colour, linestyle="--", linewidth=1)
        below = above - height < line < height - free
        place = height - line if below else max(free, height)
        ax.text(
            0.99, place + 0.15 * line, f"{name}  {height:.2f}", color=colour, size=size,
            transform=ax.get_yaxis_transform(), ha="right", va="bottom",
            bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.8, "pad": 0.5},
        )  # fmt: skip
        free = place + line
    ax.set_ylim(0, max(top, free + 0.3 * line))


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

    Raises:
        ValueError: `h` is not (T, H), or there are more or fewer words than steps, names than units.
        TypeError: `h` is no array of numbers; words or names are no list.
    """
    values = to_host(checks.of_shape("h", checks.an_array("h", h), ("T", "H"))).T
    H, T = values.shape
    units = [f"unit {unit}" for unit in range(H)] if units is None else units
    named = {"below": (below, T), "above": (above, T), "units": (units, H)}
    for name, (words, size) in named.items():
        if not hasattr(words, "__len__") or not np.iterable(words):
            raise TypeError(f"{name}: got {checks.shown(words)}, want a list of names")
        if len(words) != size:
            raise ValueError(f"{name}: got {len(words)}, want {size} for h of shape ({T}, {H})")
    limit = max(1.0, float(np.abs(values).max(initial=0)))
    image = ax.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
    for unit in range(H):
        for t in range(T):
            dark = abs(values[unit, t]) > 0.6 * limit
            text = f"{round(float(values[unit, t]), 2) + 0.0:+.2f}".replace("-", "\N{MINUS SIGN}")
            ax.text(t, unit, text, ha="center", va="center", color="white" if dark else "black")
    ax.set_xticks(range(T), below)
    ax.set_yticks(range(H), units)
    ax.set_xlabel("input")
    top = ax.secondary_xaxis("top")
    top.set_xticks(range(T), above)
    top.set_xlabel("output")
    ax.set_title(title)
    ax.figure.colorbar(image, ax=ax, fraction=0.046, label="h")


def text_by_unit(
    ax: Axes, text: str, activity: Array, title: str = "activity of a unit", width: int = 80
) -> None:
    """Draw a text, each letter on the colour of a unit after reading it, blue to red for -1 to 1.

    The letters are as large as their cells. A figure 8 inches wide has room for 80 characters in a
    line, if it is 0.2 inches high for each line. Letters that the monospaced font lacks are taken from
    `fonts`; where no font has them, boxes are drawn, with a warning.

    Args:
        ax: where to draw.
        text: any; lines are kept, and the end of a line is drawn as a character.
        activity: (n,), one number for each of the n characters, such as ``cache["l0.h"][:, unit, 0]``.
        title: of the picture.
        width: wrap lines longer than this many characters, between words if there are any.

    Raises:
        ValueError: no text; `activity` is not (n,), or not finite; `width` is below 1.
        TypeError: `text` is not a str; `width` is not an integer; `activity` does not hold numbers.
    """
    from matplotlib.collections import PathCollection
    from matplotlib.font_manager import FontProperties, findfont, get_font
    from matplotlib.path import Path
    from matplotlib.textpath import TextPath

    if not isinstance(text, str):
        raise TypeError(f"text: got {type(text).__name__}, want a str")
    if not text:
        raise ValueError("text: got '', want one character or more")
    checks.whole_number("width", width)
    values = to_host(checks.an_array("activity", activity))
    values = checks.of_shape("activity", values, (len(text),))
    checks.finite("activity", values)
    limit = max(1.0, float(np.abs(values).max()))
    cut = rf"[^\n]{{0,{width}}}\n|[^\n]{{1,{width}}}(?:(?<= )|\Z)|[^\n]{{{width}}}"
    rows = re.findall(cut, text)  # up to the line's end, or a space, or as far as there is room
    cells = np.full((len(rows), max(map(len, rows))), np.nan)
    is_cell = np.arange(cells.shape[1]) < np.array([[len(row)] for row in rows])
    cells[is_cell] = values
    cell = WIDE if any(unicodedata.east_asian_width(letter) in "WF" for letter in text) else CELL[0]
    image = ax.imshow(cells, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect=CELL[1] / cell)

    font = FontProperties(family=fonts("monospace"))
    shown = {letter: {"\n": "↵", "\t": "→"}.get(letter, letter) for letter in set(text) - {" "}}
    glyphs = {letter: TextPath((0, 0), shown[letter], size=1, prop=font) for letter in shown}
    names = (FontProperties(family=name) for name in fonts("monospace"))
    known = {code for name in names for code in get_font(findfont(name)).get_charmap()}
    for code in sorted({*map(ord, shown.values())} - known):
        warnings.warn(f"Glyph {code} missing from the fonts", stacklevel=2)
    paths, colours = [], []
    for letter, value, (y, x) in zip(text, values, np.argwhere(is_cell), strict=True):
        if letter == " ":
            continue
        place = (x - 0.5, y + 0.5 - DESCENT / CELL[1])
        corners = glyphs[letter].vertices / (cell, -CELL[1]) + place
        paths.append(Path(corners, glyphs[letter].codes))
        dark = abs(value) > 0.6 * limit
        colours.append(("white" if dark else "black", 0.5 if letter in "\n\t" else 1.0))
    letters = PathCollection(paths, facecolors=colours, linewidths=0, snap=False)
    ax.add_collection(letters, autolim=False)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.spines[:].set_visible(False)
    ax.set_title(title)
    beside = ax.inset_axes((1.02, 0, 0.015, 1))  # of the height that the text turns out to have
    ax.figure.colorbar(image, cax=beside, ticks=[-limit, 0, limit])
