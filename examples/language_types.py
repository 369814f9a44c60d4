"""What the options of shakespeare.py may be: numbers in their bounds, devices, names of files."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
from command_line import in_a_line

import minirnn as mr


def whole(least: int) -> Callable[[str], int]:
    """A type for arguments: whole numbers of at least `least`."""

    def convert(text: str) -> int:
        try:
            if (value := int(text)) >= least:
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"got {text}, want a whole number of {least} or more")

    return convert


def number(wanted: str, fits: Callable[[float], bool]) -> Callable[[str], float]:
    """A type for arguments: numbers that fit."""

    def convert(text: str) -> float:
        try:
            if fits(value := float(text)):
                return value
        except ValueError:
            pass
        raise argparse.ArgumentTypeError(f"got {text}, want {wanted}")

    return convert


SHARE = number("a number in [0, 1)", lambda value: 0 <= value < 1)
NUCLEUS = number("a number in (0, 1]", lambda value: 0 < value <= 1)
POSITIVE = number("a number above 0", lambda value: 0 < value < math.inf)
RATE = number("a number above 0 and below 1e18", lambda value: 0 < value < 1e18)
NOT_NEGATIVE = number("a number of 0 or more", lambda value: 0 <= value < math.inf)


def device(text: str) -> str:
    """A type for arguments: a device that can be used."""
    try:
        mr.to_device(np.zeros(1), text)
    except (ValueError, RuntimeError) as error:
        raise argparse.ArgumentTypeError(in_a_line(error)) from None
    return text


def run_file(text: str) -> Path:
    """A type for arguments: the file of a run; beside it there will be a picture, in .png."""
    return file_in(text, ".npz")


def picture_file(text: str) -> Path:
    """A type for arguments: the file of a picture, in a folder that is there."""
    path = file_in(text, ".png")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"got {text}, but there is no folder {path.parent}")
    return path


def file_in(text: str, suffix: str) -> Path:
    """The path of a file whose name ends as it should."""
    path = Path(text)
    if path.suffix != suffix or path.is_dir():
        raise argparse.ArgumentTypeError(f"got {text}, want a file whose name ends in {suffix}")
    return path
