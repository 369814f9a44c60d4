"""``python -m minirnn.compile``: compile the scans ahead, as for an image of a container."""

from __future__ import annotations

import argparse
import sys

from .backend import CPU
from .cells import CELLS
from .kernels.choice import available
from .kernels.compiled import NOT_KEPT, compile_ahead
from .kernels.pointwise import read


def main() -> int:
    """Compile, or find what was compiled, and say where it is; return 2 if that cannot be."""
    parser = argparse.ArgumentParser(
        prog="python -m minirnn.compile",
        description="Compile the scans for this machine, and keep them for all later processes: in "
        "NUMBA_CACHE_DIR if that is set, otherwise beside the package or in the user's cache.",
    )
    parser.add_argument(
        "--dtype",
        nargs="+",
        choices=("float32", "float64"),
        default=["float32"],
        help="what to compute in (default: float32)",
    )
    steps = [read(cell) for cell in CELLS if "numba" in available(cell, CPU)]
    for dtype in parser.parse_args().dtype:
        obstacle = compile_ahead(dtype, *steps)
        if not obstacle:
            from .kernels.compiled.compile import kept_in

            obstacle = "" if kept_in() else NOT_KEPT
        if obstacle:
            print(f"minirnn.compile: {obstacle}", file=sys.stderr)
            return 2
        print(f"{dtype}: compiled, in {kept_in()}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
