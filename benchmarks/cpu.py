"""Training on the CPU, beside PyTorch and a textbook implementation.

Each row of the table is a size and a cell, with a line for each side:

  ms         median of the timed calls
  time / X   the side's time divided by that of minirnn's scan X, with the 95 % interval of the median:
             above 1, minirnn is the faster
  rate       operations of the products that the mathematics needs, per second, as a share of what large
             square products reach on this machine in the same run
  products   time of the products that the NumPy scan makes, run alone, as a share of the side's time
  faults     page faults of one call (memory that the system had to give)
  held       the most bytes of new arrays that one call held at once (NumPy's sides)
  peak       --memory: peak memory of training in a process of its own, beyond libraries and batch

"forward" and "backward" are the recurrent layers alone; "step" is a whole training step: forward, loss,
backward, clipping of the gradient's norm, Adam. The sides take turns in random order, and each timed
call follows --alone seconds of untimed calls of the same side. Tokens are one-hot rows for PyTorch and
the textbook, made beforehand and not timed. torch.compile leaves PyTorch's recurrent layers as they are
and compiles what is around them. With --threads N, BLAS has one thread, and with it all that is left to
BLAS: the textbook, and the products that the shares are taken of.
"""

from __future__ import annotations

import argparse
from contextlib import ExitStack

from . import growth, sampling, table
from .long import STATUS
from .machine import use_threads
from .options import at_least, refuse


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The table's, and the other experiments."""
    table.add_arguments(parser)
    add = parser.add_argument
    about = 'of minirnn and PyTorch, or "blas", as mr.threads takes it (default: each its own)'
    add("--threads", type=count_of_threads, help=about)
    add("--memory", action="store_true", help="peak memory of each side, too: slow")
    other = parser.add_mutually_exclusive_group()
    other.add_argument("--growth", action="store_true", help="cost as T, N and H grow, instead")
    other.add_argument("--sampling", action="store_true", help="a step at a time, instead")


def count_of_threads(text: str) -> int | str:
    """A number, or ``"blas"``."""
    return text if text == "blas" else at_least(1)(text)


def run(options: argparse.Namespace) -> None:
    """One of the three experiments."""
    if options.memory and not STATUS.exists():
        refuse(f"argument --memory: needs {STATUS}, which Linux has")
    for name in ("growth", "sampling"):
        for other in ("sizes", "parts", "memory"):
            if getattr(options, name) and getattr(options, other):
                refuse(f"argument --{other}: does nothing with --{name}")
    with ExitStack() as stack:
        try:
            use_threads(options.threads, stack)
        except RuntimeError as error:
            refuse(f"argument --threads: {error}")
        if options.growth:
            growth.run(options)
        elif options.sampling:
            sampling.run(options)
        else:
            table.run(options)
