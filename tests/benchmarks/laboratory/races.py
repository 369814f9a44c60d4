"""Looks for races in the kernels of the laboratory, on the host; see ``persistent_races.py``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from persistent_races import PLAN, Kind, main, run

from benchmarks.laboratory import registers, tensor_cores
from benchmarks.laboratory.registers.plan import RegisterPlan
from minirnn.cells import Cell, LSTMCell
from minirnn.kernels.cuda.module import source
from minirnn.kernels.cuda.persistent import scan as persistent_scan
from minirnn.kernels.cuda.persistent.limits import Limits

IN_BLOCK = RegisterPlan(
    groups=3, columns=2, h_pitch=48, d_pitch=48, slices=3, back_slices=3, bytes=2**12
)
BY_WARPS = PLAN._replace(across=8, tile=8, pitch=20, h_pitch=8, d_pitch=12, chunk=8)


def in_registers(cell: Cell, raw_module: Any) -> Any:
    """W in one block."""
    registers.in_registers = lambda *problem: IN_BLOCK
    scan = registers.RegisterScan(cell, raw_module, Limits(4, 2**20, 8), lambda *launch: 1)
    scan.registers = 128
    return scan


def on_tensor_cores(cell: Cell, raw_module: Any) -> Any:
    """Products by warps."""
    persistent_scan.divide = lambda *problem: BY_WARPS
    limits = Limits(4, 2**20, 64)
    return tensor_cores.TensorCoreScan(cell, raw_module, limits, lambda *launch: 1)


REGISTERS = Kind(source("registers.cu", Path(registers.__file__).parent), in_registers)
TENSOR_CORES = Kind(
    source("persistent/shared.cu", tensor_cores.TensorCoreScan.folder), on_tensor_cores, np.float32
)

if __name__ == "__main__":
    print("== on tensor cores", file=sys.stderr, flush=True)
    run(LSTMCell(), TENSOR_CORES)
    main(REGISTERS)
