"""On a CUDA device, beside PyTorch with cuDNN, our scans on the CPU, and the limit of the products.

The parts:

  scans   forward and backward of one layer that reads numbers, D = H
  step    a whole training step: forward, loss, backward, clipping of the gradient's norm, Adam
  preset  the preset "karpathy" of examples/shakespeare.py, end to end: windows of tokens from the host,
          the state carried on, dropout, loss and norm read at each step
  map     forward and backward over T, N and H, on the device and on the CPU: which is the faster?

and for each side of a row:

  ms            median of the timed calls, by CUDA events around a batch of them that takes about 5 ms;
                on the CPU by the wall clock, around one
  PyTorch / it  PyTorch's time divided by the side's, in the same precision, with the 95 % interval of
                the median: above 1, minirnn is the faster
  limit         the time that cuBLAS takes for the products alone, all steps beside one another, as a
                share of the side's: 100 % would be a network in which nothing else costs time
  TFLOP/s       operations of these products per second
  GB/s          bytes per second that have to be moved if W and the state stay on the chip

At the end, after all times, the kernels that one call of each side launches are counted, as CUDA's
tracing sees them; copies and fills are not among them.

The formulas of operations and bytes are needed_flops and needed_bytes in benchmarks/products.py. Inputs
that are data get no gradient; cuDNN computes it all the same, a sixth of its products where D = H.
Batches are on the device beforehand (but for the preset), on each side in the layout it works in, and
tokens are one-hot rows for PyTorch. The sides take turns in random order; each timed batch follows
--alone seconds of untimed ones, and the first call is never timed.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from minirnn.backend import get_backend

from . import crossover, table
from .device import HEADING, PATIENCE, DeviceExperiment, launched, lines
from .machine import precision_forced
from .options import refuse
from .sizes import CELLS, MAP, PRESET, SCANS, SIZES, Size, layer

SIDES = ["generic", "fused", "persistent", "registers", "tensor-cores", "numpy", "numba", "torch"]
PARTS: dict[str, dict[str, Size]] = {
    "scans": SCANS,
    "step": SIZES,
    "preset": {"preset": PRESET},
    "map": MAP,
}
CELLS_OF = {"preset": ["LSTM"], "map": ["LSTM"]}  # where not all are measured unasked
QUICK: dict[str, dict[str, Size]] = {
    "scans": {"4x3x5": layer(4, 3, 5)},
    "step": {"hihello": SIZES["hihello"]},
    "preset": {"preset": PRESET._replace(T=4, N=3, D=7, H=5, K=7)},
    "map": {"2x1x4": layer(2, 1, 4), "2x3x4": layer(2, 3, 4), "2x1x6": layer(2, 1, 6)},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What to measure, and how."""
    table.add_choice(parser, "--parts", PARTS)
    table.add_choice(parser, "--cells", CELLS, "all; of preset and map LSTM alone")
    add = parser.add_argument
    about = f"of scans {', '.join(SCANS)}; of step {', '.join(SIZES)}; of map TxNxH (default: all)"
    add("--sizes", nargs="+", metavar="SIZE", help=about)
    table.add_choice(parser, "--sides", SIDES, "all, with the faster one of numpy and numba")
    about = "float32, tf32 (default: both); tf32 is TensorFloat-32, in PyTorch and in our layers"
    names = ["float32", "tf32"]
    add("--precision", nargs="+", choices=names, default=names, metavar="PRECISION", help=about)
    table.add_measuring(parser, PATIENCE)
    about = "keep the rows of this file that are not measured anew; of the same machine and commit"
    add("--add", type=Path, metavar="FILE", help=about)
    add("--commit", help="of the sources, where git cannot tell")


def run(options: argparse.Namespace) -> None:
    """All parts, into one file of results; or a line on why there is no device."""
    try:
        get_backend("cuda")
    except RuntimeError as error:
        refuse(str(error))
    forced = precision_forced()
    if forced:
        refuse(forced)
    parts = chosen(options)
    experiment = DeviceExperiment(options)
    if options.add:
        try:
            experiment.results.go_on(options.add)
        except ValueError as error:
            refuse(f"argument --add: {error}")
        except OSError as error:
            refuse(f"argument --add: {options.add}: {error.strerror}")
    measured = []
    for part, sizes in parts.items():
        print(f"\n{part}\n{HEADING}")
        for name, size in sizes.items():
            for cell in options.cells or CELLS_OF.get(part, CELLS):
                row = experiment.row(name, size, cell, part)
                experiment.results.add(row)
                print(lines(row, str(size)), flush=True)
                measured.append(row)
    counted = [row for row in measured if row.part != "map" and experiment.with_torch]
    if counted:
        print("\nkernels of a call")
        for row in counted:
            experiment.count(row)
            experiment.results.add(row)
            print(launched(row), flush=True)
    if experiment.folder:
        header, rows = experiment.results.header, experiment.results.rows
        crossover.draw(header, rows, experiment.folder, "gpu-map")


def chosen(options: argparse.Namespace) -> dict[str, dict[str, Size]]:
    """The sizes to measure, by part; a part that has none of those asked for is left out."""
    of_parts = QUICK if options.quick else PARTS
    parts = {part: of_parts[part] for part in options.parts or PARTS}
    if options.sizes is None:
        return parts
    for name in options.sizes:
        if not any(name in sizes for sizes in parts.values()):
            known = ", ".join(name for sizes in parts.values() for name in sizes)
            refuse(f"argument --sizes: got {name!r}, want some of {known}")
    found = {
        part: {name: size for name, size in sizes.items() if name in options.sizes}
        for part, sizes in parts.items()
    }
    return {part: sizes for part, sizes in found.items() if sizes}
