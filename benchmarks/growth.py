"""How the time grows with T, N and H: one of them doubles, and the others stay as they are.

They are T = 32, N = 32, H = 128, and D = H. A slope of 1 on the doubly logarithmic picture is twice the
time for twice the size.
"""

from __future__ import annotations

import argparse

import numpy as np

from . import pictures
from .experiment import Experiment
from .parts import LABELS
from .rows import NOT_OURS, heading, lines
from .sizes import CELLS, Size

VALUES = {"T": (16, 32, 64, 128, 256), "N": (8, 16, 32, 64, 128), "H": (32, 64, 128, 256, 512)}
PART = "backward"


def size_of(letter: str, value: int) -> Size:
    """The network in which one letter has that value."""
    sizes = {"T": 32, "N": 32, "H": 128, letter: value}
    return Size(D=sizes["H"], layers=1, K=64, task="numbers", **sizes)


def slope(values: list[int], seconds: list[float]) -> float:
    """Of the line through the logarithms, by least squares."""
    return float(np.polyfit(np.log(values), np.log(seconds), 1)[0])


def run(options: argparse.Namespace) -> None:
    """Print the times and slopes, write them and draw them."""
    experiment = Experiment(options, "cpu-growth")
    experiment.sides = [side for side in experiment.sides if side != "textbook" or options.sides]
    print(f"forward and backward of one layer, D = H\n{heading(experiment.own)}")
    curves: dict[tuple[str, str], dict[str, pictures.Curve]] = {}
    for cell in options.cells or CELLS:
        for letter, values in VALUES.items():
            chosen = list(values[:3] if options.quick else values)
            rows = []
            for value in chosen:
                size = size_of(letter, value)
                rows.append(experiment.row(f"{letter}={value}", size, cell, PART))
                experiment.results.add(rows[-1])
                print(lines(rows[-1], str(size)), flush=True)
            found = curves[cell, letter] = {}
            for side in rows[0].times:
                if side in NOT_OURS and side not in experiment.sides:
                    continue
                seconds = [row.median(side) for row in rows]
                found[side] = pictures.Curve(chosen, seconds, slope(chosen, seconds))
            said = ", ".join(f"{LABELS[side]} {c.slope:.2f}" for side, c in found.items())
            print(f"{cell}, slope over {letter}: {said}\n", flush=True)
    pictures.growth(curves, experiment.folder, experiment.name)
