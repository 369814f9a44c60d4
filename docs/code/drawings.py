"""Drawings of cells: boxes and arrows. Blue goes forward, orange backward."""

from __future__ import annotations

from matplotlib.axes import Axes

FORWARD, BACKWARD = "tab:blue", "tab:orange"
Point = tuple[float, float]


def arrow(ax: Axes, start: Point, end: Point, color: str = FORWARD) -> None:
    """Draw a straight arrow."""
    style = {"arrowstyle": "-|>", "color": color, "lw": 1.4, "shrinkA": 0, "shrinkB": 0}
    ax.annotate("", end, start, arrowprops=style)


def line(ax: Axes, *points: Point) -> None:
    """Draw an arrow with corners, from the first point to the last."""
    xs, ys = zip(*points[:-1], strict=True)
    ax.plot(xs, ys, color=FORWARD, lw=1.4, solid_capstyle="butt")
    arrow(ax, points[-2], points[-1])


def box(ax: Axes, at: Point, text: str, shape: str = "round,pad=0.35") -> None:
    """Write `text` in a box around `at`; "circle" is for operations."""
    frame = {"boxstyle": shape, "fc": "none", "ec": "0.4"}
    ax.text(*at, text, ha="center", va="center", bbox=frame, zorder=3)


def canvas(ax: Axes, width: float, height: float) -> None:
    """Make `ax` a sheet without axes, whose units are the same in both directions."""
    ax.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    ax.axis("off")


def unrolled(ax: Axes) -> None:
    """Draw three steps of a recurrent network, with the gradients that flow back."""
    canvas(ax, 12, 5.4)
    gap = 0.17  # between a forward arrow and the one that goes back
    for t, x in enumerate((2.4, 6.0, 9.6)):
        box(ax, (x, 2.3), f"step ${t}$\n$U, W, b$", "round,pad=0.5")
        arrow(ax, (x - gap, 0.55), (x - gap, 1.5))
        arrow(ax, (x + gap, 1.5), (x + gap, 0.55), BACKWARD)
        ax.text(x - 0.35, 0.95, f"$x_{t}$", ha="right", va="center", color=FORWARD)
        ax.text(x + 0.35, 0.95, rf"$U^\top da_{t}$", ha="left", va="center", color=BACKWARD)
        arrow(ax, (x - gap, 3.1), (x - gap, 4.3))
        arrow(ax, (x + gap, 4.3), (x + gap, 3.1), BACKWARD)
        ax.text(x - 0.35, 3.75, f"$y_{t} = h_{t}$", ha="right", va="center", color=FORWARD)
        ax.text(x + 0.35, 3.75, f"$dy_{t}$", ha="left", va="center", color=BACKWARD)
    names = ["$h_{-1}$", "$h_0$", "$h_1$", "$h_2$"]
    sends = [rf"$W^\top da_{t}$" for t in range(3)] + ["dstate"]
    for x, name, sent in zip((0.1, 3.4, 7.0, 10.6), names, sends, strict=True):
        arrow(ax, (x, 2.3 + gap), (x + 1.3, 2.3 + gap))
        arrow(ax, (x + 1.3, 2.3 - gap), (x, 2.3 - gap), BACKWARD)
        ax.text(x + 0.65, 2.62, name, ha="center", va="bottom", color=FORWARD)
        ax.text(x + 0.65, 1.98, sent, ha="center", va="top", color=BACKWARD)
    ax.text(6.0, 4.75, "loss $L$", ha="center", va="center")
    ax.plot((2.0, 10.0), (4.4, 4.4), color="0.4", lw=1.4)


def lstm_cell(ax: Axes) -> None:
    """Draw one step of the LSTM: the cell state runs along the top, past the gates."""
    canvas(ax, 12, 5.6)
    top, gates, bottom = 4.8, 2.6, 0.9
    arrow(ax, (0.9, top), (2.2, top))
    arrow(ax, (2.6, top), (5.4, top))
    arrow(ax, (5.8, top), (10.9, top))
    ax.text(0.6, top, "$c$", ha="center", va="center")
    ax.text(11.3, top, "c′", ha="center", va="center", style="italic")
    box(ax, (2.4, top), "$⊙$", "circle,pad=0.2")
    box(ax, (5.6, top), "$+$", "circle,pad=0.2")
    for x, name, f in ((2.4, "f", r"\sigma"), (4.4, "i", r"\sigma"), (6.8, "g", r"\mathrm{act}")):
        line(ax, (x, bottom), (x, gates - 0.4))
        box(ax, (x, gates), f"${name} = {f}(a_{name})$")
    box(ax, (9.4, gates), r"$o = \sigma(a_o)$")
    line(ax, (9.4, bottom), (9.4, gates - 0.4))
    arrow(ax, (2.4, gates + 0.4), (2.4, top - 0.25))
    box(ax, (5.6, 3.75), "$⊙$", "circle,pad=0.2")
    line(ax, (4.4, gates + 0.4), (4.4, 3.75), (5.35, 3.75))
    line(ax, (6.8, gates + 0.4), (6.8, 3.75), (5.85, 3.75))
    arrow(ax, (5.6, 4.0), (5.6, top - 0.25))
    ax.plot((1.2, 9.4), (bottom, bottom), color=FORWARD, lw=1.4)
    ax.text(0.9, bottom, "$x, h$", ha="right", va="center")
    box(ax, (8.3, 3.75), "act", "round,pad=0.25")
    line(ax, (8.3, top), (8.3, 4.05))
    box(ax, (9.4, 3.75), "$⊙$", "circle,pad=0.2")
    arrow(ax, (8.68, 3.75), (9.15, 3.75))
    arrow(ax, (9.4, gates + 0.4), (9.4, 3.5))
    arrow(ax, (9.65, 3.75), (10.9, 3.75))
    ax.text(11.3, 3.75, "h′", ha="center", va="center", style="italic")


def gru_cell(ax: Axes) -> None:
    """Draw one step of the GRU with the reset gate after the product: h runs along the top."""
    canvas(ax, 12, 5.6)
    top, middle, gates, bottom = 4.8, 3.75, 2.6, 0.9
    ax.text(0.6, top, "$h$", ha="center", va="center")
    arrow(ax, (0.9, top), (2.2, top))
    box(ax, (2.4, top), "$⊙$", "circle,pad=0.2")
    arrow(ax, (2.6, top), (9.2, top))
    box(ax, (9.4, top), "$+$", "circle,pad=0.2")
    arrow(ax, (9.6, top), (10.9, top))
    ax.text(11.3, top, "h′", ha="center", va="center", style="italic")
    box(ax, (2.4, gates), r"$z = \sigma(u_z + w_z)$")
    arrow(ax, (2.4, gates + 0.4), (2.4, top - 0.25))
    ax.text(2.6, 4.2, "$z$", ha="left", va="center")
    line(ax, (2.4, middle), (9.15, middle))
    ax.text(5.9, middle + 0.1, "$1 - z$", ha="center", va="bottom")
    box(ax, (9.4, middle), "$⊙$", "circle,pad=0.2")
    arrow(ax, (9.4, middle + 0.25), (9.4, top - 0.25))
    box(ax, (9.4, gates), r"$n = \tanh(u_n + r ⊙ m)$")
    arrow(ax, (9.4, gates + 0.4), (9.4, middle - 0.25))
    box(ax, (5.7, gates), r"$r = \sigma(u_r + w_r)$")
    arrow(ax, (7.05, gates), (7.7, gates))
    for x in (2.4, 5.7, 9.4):
        line(ax, (x, bottom), (x, gates - 0.4))
    ax.plot((1.2, 9.4), (bottom, bottom), color=FORWARD, lw=1.4)
    ax.text(0.9, bottom, "$x, h$", ha="right", va="center")
