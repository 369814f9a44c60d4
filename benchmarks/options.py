"""Options that several sub-commands have, and how a mistake is told."""

from __future__ import annotations

import argparse
import math
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn, TypeVar

Number = TypeVar("Number", int, float)


def at_least(least: Number) -> Callable[[str], Number]:
    """Return what reads a number of that kind, of `least` or more, for ``type=``."""
    kind = type(least)

    def read(text: str) -> Number:
        try:
            value = kind(text)
        except ValueError:
            value = kind(-1)
        if not least <= value < math.inf:
            what = "a whole number" if kind is int else "a number"
            raise argparse.ArgumentTypeError(f"got {text!r}, want {what} of {least:g} or more")
        return value

    return read


def refuse(message: str) -> NoReturn:
    """End the program with one line, and status 2."""
    print(f"python -m benchmarks: {' '.join(message.split())}", file=sys.stderr)
    raise SystemExit(2)


def folder(path: Path | None) -> Path | None:
    """Make the folder for results, or end the program with a line on why it cannot be written to."""
    if path is None:
        return None
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        refuse(f"argument --out: {path}: {error.strerror}")
    if not os.access(path, os.W_OK):
        refuse(f"argument --out: {path}: cannot be written to")
    return path
