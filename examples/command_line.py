"""What the examples have in common: options of the command line, and pictures if matplotlib is there.

parser = argparse.ArgumentParser(description="...")
command_line.add_common(parser, steps=200)
parser.add_argument("--hidden", type=int, default=5)
options = command_line.check(parser, parser.parse_args(), hidden=1)  # 1 or more
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import minirnn as mr

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CELLS = {"rnn": mr.RNN, "lstm": mr.LSTM, "gru": mr.GRU}


def add_common(parser: argparse.ArgumentParser, steps: int) -> None:
    """Add ``--cell``, ``--steps``, ``--seed``, ``--device`` and ``--out``.

    Args:
        parser: to add them to.
        steps: of training, unless others are asked for.
    """
    parser.add_argument("--cell", type=str.lower, choices=CELLS, default="lstm")
    parser.add_argument("--steps", type=int, default=steps, help="of training")
    parser.add_argument("--seed", type=int, default=0, help="of the initial weights")
    parser.add_argument("--device", default="cpu", help='"cpu" or "cuda"')
    parser.add_argument("--out", type=Path, default=Path("out"), help="folder for the picture")


def check(
    parser: argparse.ArgumentParser, options: argparse.Namespace, **least: float
) -> argparse.Namespace:
    """Make the folder ``--out`` and return `options`, or end the program with a line on what is wrong.

    Args:
        parser: that has the options of `add_common`.
        options: what it read.
        least: the least that other options may be, by name; one that is None is not looked at.
    """
    for name, bound in {"steps": 1, "seed": 0, **least}.items():
        value = getattr(options, name)
        if value is not None and not value >= bound:
            option = name.replace("_", "-")
            parser.error(f"argument --{option}: got {value}, want {bound} or more")
    try:
        mr.to_device(np.zeros(1), options.device)
    except (ValueError, RuntimeError) as error:
        parser.error(f"argument --device: {error}")
    try:
        options.out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        parser.error(f"argument --out: {error}")
    return options


def new_figure(width: float, height: float) -> Figure | None:
    """Return an empty figure of that size in inches; say so and return None without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        print("no picture, because matplotlib is missing: pip install matplotlib")
        return None
    return Figure(figsize=(width, height), layout="constrained")


def save(figure: Figure, path: Path) -> None:
    """Write the picture to `path`, and say so."""
    figure.savefig(path, dpi=120)
    print(f"picture: {path}")
