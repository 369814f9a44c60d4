"""Training on a CUDA device, beside PyTorch with cuDNN.

The table of the sub-command cpu, whose help says what the columns are. The device has finished before
and after each timed call. Page faults are the host's.
"""

from __future__ import annotations

import argparse

from minirnn.backend import get_backend

from . import table
from .options import refuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The table's."""
    table.add_arguments(parser)


def run(options: argparse.Namespace) -> None:
    """The table, or a line on why there is no device."""
    try:
        get_backend("cuda")
    except RuntimeError as error:
        refuse(str(error))
    table.run(options, "cuda")
