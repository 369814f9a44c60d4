"""The graph of the worked example as SVG: a box for each vector at each t, an arrow for each use."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from by_hand import before

WIDE, LINE, LABEL = 64, 15, 16  # a box's width, the height of a number and of its label
LEFT, TOP, ROW, BAND = (
    2,
    58,
    86,
    272,
)  # the first column, the first row, from row to row, from t to t
WIDTH, HEIGHT = 716, 454
GATES = ("i", "f", "g", "o")  # from top to bottom: the three that make c, and o beside h


class Box(NamedTuple):
    """A vector's place."""

    x: float
    y: float
    label: str
    slots: tuple[str, ...]  # its numbers, from top to bottom

    @property
    def height(self) -> float:
        """Of the frame."""
        return LABEL + LINE * len(self.slots) + 4

    @property
    def middle(self) -> tuple[float, float]:
        """Of the frame, (x, y)."""
        return self.x + WIDE / 2, self.y + self.height / 2


def boxes() -> dict[str, Box]:
    """Every box by name, such as ``a_i_0`` or ``c_start``."""

    def vector(x: float, row: float, label: str, name: str, gradient: bool = True) -> Box:
        values = tuple(name.format(u) for u in "12")
        slots = (*values, *(f"d{slot}" for slot in values)) if gradient else values
        return Box(x, TOP + ROW * row, label, slots)

    found = {
        f"{s}_start": vector(LEFT, row, s, f"{s}{{}}_start") for s, row in (("c", 0), ("h", 2))
    }
    for t in (0, 1):
        a = LEFT + 100 + BAND * t
        for row, gate in enumerate(GATES):
            found[f"a_{gate}_{t}"] = vector(a, row, f"a_{gate}", f"a_{gate}{{}}_{t}")
            found[f"{gate}_{t}"] = vector(a + 76, row, gate, f"{gate}{{}}_{t}")
        found[f"x_{t}"] = Box(a, TOP + 4 * ROW, "x", (f"x_{t}", f"dx_{t}"))
        found[f"c_{t}"] = vector(a + 168, 0, "c", f"c{{}}_{t}")
        found[f"y_{t}"] = vector(a + 168, 1.17, "tanh c", f"y{{}}_{t}", gradient=False)
        found[f"h_{t}"] = vector(a + 168, 2, "h", f"h{{}}_{t}")
    last = LEFT + 100 + 2 * BAND
    found["L"] = Box(last, TOP + 2 * ROW + 24, "loss L", ("L",))
    found["target"] = Box(last, TOP + 3 * ROW + 10, "target", ("target1", "target2"))
    return found


def arrows(b: Mapping[str, Box]) -> dict[tuple[str, str], str]:
    """The path of each arrow, from one box to another."""
    paths = {}
    for t in (0, 1):
        s, h, c, x = before(t), b[f"h_{t}"], b[f"c_{t}"], b[f"x_{t}"]
        for gate in GATES:
            a, out = b[f"a_{gate}_{t}"], b[f"{gate}_{t}"]
            left, y = b[f"h_{s}"].x + WIDE, a.middle[1]
            paths[f"h_{s}", f"a_{gate}_{t}"] = f"M{left} {h.middle[1] - 6}H{a.x - 24}V{y - 6}H{a.x}"
            paths[f"x_{t}", f"a_{gate}_{t}"] = f"M{a.x} {x.middle[1]}H{a.x - 14}V{y + 6}H{a.x}"
            paths[f"a_{gate}_{t}", f"{gate}_{t}"] = f"M{a.x + WIDE} {y}H{out.x}"
        for k, gate in enumerate("ifg"):
            box, into = b[f"{gate}_{t}"], c.middle[1] - 14 + 14 * k
            paths[f"{gate}_{t}", f"c_{t}"] = (
                f"M{box.x + WIDE} {box.middle[1]}h{8 + 5 * (k == 1)}V{into}H{c.x}"
            )
        box, old, over = b[f"o_{t}"], b[f"c_{s}"].middle[0], TOP - 20
        paths[f"o_{t}", f"h_{t}"] = (
            f"M{box.x + WIDE} {box.middle[1]}H{h.middle[0]}V{h.y + h.height}"
        )
        paths[f"c_{s}", f"c_{t}"] = f"M{old + 8} {TOP}V{over}H{c.middle[0] - 8}V{TOP}"
        tanh = b[f"y_{t}"]
        paths[f"c_{t}", f"y_{t}"] = f"M{c.middle[0]} {c.y + c.height}V{tanh.y}"
        paths[f"y_{t}", f"h_{t}"] = f"M{c.middle[0]} {tanh.y + tanh.height}V{h.y}"
    loss, target = b["L"], b["target"]
    paths["h_1", "L"] = f"M{b['h_1'].x + WIDE} {loss.middle[1]}H{loss.x}"
    paths["target", "L"] = f"M{loss.middle[0]} {target.y}V{loss.y + loss.height}"
    return paths


def text(kind: str, x: float, y: float, words: str) -> str:
    """A line of text; what follows a low line is an index."""
    letter, _, index = words.partition("_")
    below = f'<tspan dy="3" font-size="9">{index}</tspan>' if index else ""
    return f'<text class="{kind}" x="{x}" y="{y}">{letter}{below}</text>'


def rectangle(kind: str, x: float, y: float, width: float, height: float) -> str:
    """A rectangle with round corners."""
    size = f'width="{width}" height="{height}" rx="4"'
    return f'<rect class="{kind}" x="{x}" y="{y}" {size}/>'


def drawn(name: str, box: Box, numbers: Mapping[str, str]) -> str:
    """A box with its numbers."""
    out = rectangle("frame", box.x, box.y, WIDE, box.height)
    out += text("label", box.middle[0], box.y + 12, box.label)
    for k, slot in enumerate(box.slots):
        y = box.y + LABEL + LINE * k
        kind = "number gradient" if slot.startswith("d") else "number"
        ground = rectangle("ground", box.x + 2, y, WIDE - 4, LINE)
        shown = text("value", box.x + WIDE - 7, y + 11.5, numbers[slot])
        out += f'<g class="{kind}" data-slot="{slot}">{ground}{shown}</g>'
    return f'<g class="box" data-box="{name}">{out}</g>'


def tip(name: str, size: int) -> str:
    """The tip of an arrow."""
    shape = f'viewBox="0 0 6 6" refX="5.5" refY="3" markerWidth="{size}" markerHeight="{size}"'
    return f'<marker id="{name}" {shape} orient="auto-start-reverse"><path d="M0 0L6 3L0 6Z"/></marker>'


def graph(numbers: Mapping[str, str]) -> str:
    """The drawing, with the number of each slot as text."""
    places, middle = boxes(), LEFT + WIDE / 2
    out = f"<defs>{tip('stepper-arrow', 6)}{tip('stepper-hot', 4)}</defs>"
    for t in (0, 1):
        x = LEFT + 70 + BAND * t
        out += rectangle("band", x, 2, BAND - 6, HEIGHT - 4) + text("time", x + 10, 20, f"t = {t}")
    out += text("label", middle, 20, "start")
    out += text("label", middle, HEIGHT - 30, "value")
    out += text("label gradient", middle, HEIGHT - 15, "gradient")
    for (start, end), path in arrows(places).items():
        out += f'<path class="arrow" data-from="{start}" data-to="{end}" d="{path}"/>'
    out += "".join(drawn(name, box, numbers) for name, box in places.items())
    what = 'role="group" aria-label="Graph of the two steps"'
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" {what}>{out}</svg>'
