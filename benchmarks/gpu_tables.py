"""The tables of docs/gpu_figures.md: from the results of one run, or without any."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .crossover import points, said
from .device import limit, peer
from .markdown import markdown
from .parts import HOST, TF32
from .results import Row
from .rows import share
from .step_table import beside, sizes

OURS = ("persistent", "fused", "generic")
NOTHING = "not measured"
Header = Mapping[str, Any]


def machine(header: Header, rows: Sequence[Row]) -> list[list[str]]:
    """What was measured on what."""
    about = {**header["machine"], **header["run"]}
    return [["what", "which"], *([what, value] for what, value in about.items())]


def layers(part: str, precision: str) -> Callable[[Header, Sequence[Row]], list[list[str]]]:
    """A table of the rows of a part: the limit, PyTorch, our scans, the CPU."""
    end = TF32 if precision == "tf32" else ""

    def made(header: Header, rows: Sequence[Row]) -> list[list[str]]:
        first = ["(T, N, D, H) × layers", "cell", "GFLOP", "MB", "products alone", "PyTorch"]
        lines = [[*first, *OURS, "CPU"]]
        for row in (row for row in rows if row.part == part):
            work = [f"{row.flops / 1e9:.3g}", f"{row.bytes / 1e6:.3g}"]
            times = [milliseconds(row, side + end) for side in ("limit", "torch")]
            own = [one(row, scan + end) for scan in OURS]
            if any(text != "–" for text in (times[1], *own)):
                cpu = milliseconds(row, host(row))
                lines.append([sizes(row.shape), row.cell, *work, *times, *own, cpu])
        return lines

    return made


def milliseconds(row: Row, side: str) -> str:
    """The time, and what share of it the products alone would take."""
    if side not in row.times:
        return "–"
    return f"{row.median(side) * 1e3:.3f} ms{of_limit(row, side)}"


def one(row: Row, side: str) -> str:
    """PyTorch's time divided by that of one of ours; its own time where there is no PyTorch."""
    if side not in row.times or peer(side) not in row.times:
        return milliseconds(row, side)
    return beside(row, side, True, peer(side)) + of_limit(row, side)


def of_limit(row: Row, side: str) -> str:
    """The share that the products alone would take on the device."""
    least = limit(side)
    if least not in row.times or side in (least, *HOST):
        return ""
    return f", {share(row, least, side):.0%}"


def host(row: Row) -> str:
    """The scan on the CPU that the row has."""
    return next((side for side in row.times if side in HOST), HOST[0])


def kernels(header: Header, rows: Sequence[Row]) -> list[list[str]]:
    """How many a call launches."""
    lines = [["part", "(T, N, D, H) × layers", "cell", "PyTorch", *OURS]]
    for row in rows:
        if row.kernels:
            counts = [row.kernels.get(side) for side in ("torch", *OURS)]
            texts = ["–" if count is None else f"{count:,.0f}" for count in counts]
            lines.append([row.part, sizes(row.shape), row.cell, *texts])
    return lines


def crossing(header: Header, rows: Sequence[Row]) -> list[list[str]]:
    """The CPU's time divided by the device's, with N downwards and H across."""
    mapped = [row for row in rows if row.part == "map"]
    widths = sorted({row.shape["H"] for row in mapped})
    lines = [["cell", "$T$", "$N$", *(f"$H = {H}$" for H in widths)]]
    for cell in dict.fromkeys(row.cell for row in mapped):
        found = {(p.T, p.N, p.H): said(p.gain) for p in points(mapped, cell)}
        for T, N in dict.fromkeys((T, N) for T, N, _ in found):
            gains = [found.get((T, N, H), "–") for H in widths]
            lines.append([cell, str(T), str(N), *gains])
    return lines


def left_out(header: Header, rows: Sequence[Row]) -> list[list[str]]:
    """What could not run, and why."""
    lines = [["part", "size", "cell", "side", "why"]]
    for row in rows:
        for side, why in row.left_out.items():
            lines.append([row.part, row.size, row.cell, side, why.replace("|", "/")])
    return lines


TABLES: dict[str, Callable[[Header, Sequence[Row]], list[list[str]]]] = {
    "machine": machine,
    "scans": layers("scans", "float32"),
    "scans_tf32": layers("scans", "tf32"),
    "step": layers("step", "float32"),
    "step_tf32": layers("step", "tf32"),
    "preset": layers("preset", "float32"),
    "preset_tf32": layers("preset", "tf32"),
    "kernels": kernels,
    "map": crossing,
    "left_out": left_out,
}


def tables(header: Header, rows: Sequence[Row]) -> dict[str, str]:
    """All of them, by name; one that nothing was measured for says so."""
    nothing = {"left_out": "none" if rows else NOTHING}
    return {
        name: finished(make(header, rows), nothing.get(name, NOTHING))
        for name, make in TABLES.items()
    }


def unmeasured() -> dict[str, str]:
    """The same where nothing has been measured."""
    empty: Header = {"machine": {}, "run": {}}
    return tables(empty, [])


def finished(lines: list[list[str]], nothing: str) -> str:
    """As Markdown, with a row that says so if there is nothing in it."""
    if len(lines) == 1:
        lines = [*lines, [nothing, *["–"] * (len(lines[0]) - 1)]]
    return markdown(lines)
