"""The table of sizes, cells, parts and sides on the CPU."""

from __future__ import annotations

import argparse
import subprocess
from collections.abc import Iterable
from pathlib import Path

from . import pictures
from .experiment import PATIENCE, Experiment
from .memory import peak_memory
from .options import at_least
from .parts import LABELS
from .results import Row
from .rows import heading, lines
from .sizes import CELLS, PARTS, SIZES

SIDES = ["generic", "numpy", "numba", "torch", "compiled", "textbook"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Those of the table."""
    add_choice(parser, "--sizes", SIZES)
    add_choice(parser, "--cells", CELLS)
    add_choice(parser, "--parts", PARTS)
    add_choice(parser, "--sides", SIDES, "all but generic and compiled")
    parser.add_argument("--compile", action="store_true", help="PyTorch with torch.compile, too")
    add_measuring(parser, PATIENCE)


def add_choice(
    parser: argparse.ArgumentParser, option: str, names: Iterable[str], default: str = "all"
) -> None:
    """An option that takes some of these names."""
    about = f"{', '.join(names)} (default: {default})"
    name = option[2:-1].upper()
    parser.add_argument(option, nargs="+", choices=list(names), metavar=name, help=about)


def add_measuring(parser: argparse.ArgumentParser, seconds: float) -> None:
    """How to measure, and where results go: the same on all devices."""
    add, about = parser.add_argument, f"for each row (default {seconds:g}), in 5 rounds at least"
    add("--seconds", type=at_least(0.0), help=about)
    add("--alone", type=at_least(0.0), help="untimed before each timed call (default 0.05 seconds)")
    add("--seed", type=at_least(0), default=0, help="of the data, and of the order in each round")
    add("--out", type=Path, help="folder for the figures (JSON) and the pictures (PNG)")
    add("--quick", action="store_true", help="only to see that it works, in some seconds")


def run(options: argparse.Namespace) -> None:
    """Print the table as its rows are measured, with peak memory or without; write it, and draw it."""
    experiment = Experiment(options, "cpu")
    quick = options.quick
    sizes = options.sizes or (["hihello", "stock"] if quick else list(SIZES))
    parts = options.parts or (["step"] if quick else list(PARTS))
    print("PyTorch and the textbook read tokens as one-hot rows, made beforehand and not timed.")
    for part in parts:
        print(f"\n{PARTS[part]}\n{heading(experiment.own)}")
        for name in sizes:
            for cell in options.cells or CELLS:
                row = experiment.row(name, SIZES[name], cell, part)
                if options.memory and part == "step":
                    add_memory(row, options.threads)
                experiment.results.add(row)
                print(lines(row, str(SIZES[name])), flush=True)
    for part in parts:
        rows = [row for row in experiment.results.rows if row.part == part]
        pictures.ratios(rows, experiment.folder, f"{experiment.name}-{part}", PARTS[part])


def add_memory(row: Row, threads: int | str | None) -> None:
    """Measure each side's peak in a process of its own."""
    for side in row.faults:
        try:
            row.memory[side] = peak_memory(row.cell, row.size, side, threads)
        except subprocess.CalledProcessError as error:
            said = str(error.stderr).strip().splitlines() or [str(error)]
            print(f"peak memory of {LABELS[side]} is left out: {said[-1]}")
